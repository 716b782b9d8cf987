#include "textflag.h"

// func loop(turns int)
//
//	AX  turns left
TEXT ·loop(SB), NOSPLIT, $0-8
	MOVQ turns+0(FP), AX

turn:
	ADDQ $1, BX
	ADDQ $1, CX
	ADDQ $1, DX
	SUBQ $1, AX
	JNE  turn
	RET
