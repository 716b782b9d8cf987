#include "textflag.h"

// func loop(turns int)
//
//	R0  turns left
TEXT ·loop(SB), NOSPLIT, $0-8
	MOVD turns+0(FP), R0

turn:
	ADD  $1, R1
	ADD  $1, R2
	ADD  $1, R3
	SUBS $1, R0
	BNE  turn
	RET
