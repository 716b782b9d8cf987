// A plugin of QEMU's translator that counts a guest thread's instructions. Whenever
// a thread makes the system call that guest_linux.go has, a line with the count of its
// instructions so far is added to a file:
//
//	qemu-aarch64 -plugin count.so,out=FILE PROGRAM
//
// What follows first is the part of QEMU's plugin API that is used, which Debian has no
// header of: https://www.qemu.org/docs/master/devel/tcg-plugins.html. It is the same in
// versions 1 (QEMU 4.2 to 8.1) and later.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info_t;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned vcpu, void *data), enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2,
                                                                         uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8));

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

#define MARK UINT64_C(0x68616c6667726164) // as in guest_linux.go
#define THREADS 4096

static uint64_t counts[THREADS]; // of a thread each: nobody else writes it
static FILE *out;

// executed: a block is about to run, all of it, since only its last instruction jumps.
static void executed(unsigned vcpu, void *instructions) {
    if (vcpu < THREADS) {
        counts[vcpu] += (uintptr_t)instructions;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

static void called(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                   uint64_t a7, uint64_t a8) {
    (void)id, (void)number, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (a1 == MARK && vcpu < THREADS) {
        fprintf(out, "%" PRIu64 "\n", counts[vcpu]);
        fflush(out);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w"))) {
        fprintf(stderr, "count.so: want out=FILE, one that can be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
