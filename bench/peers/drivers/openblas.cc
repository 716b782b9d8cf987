// OpenBLAS, fp32: cblas_sgemm. Threads and the core type come from the
// environment.

#include "worker.h"

#include <cblas.h>

std::string about() {
    // openblas_get_config names the core type that is in use, too.
    return std::string(openblas_get_config()) + ", cblas_sgemm";
}

std::string prepare(const Product &) { return ""; }

void multiply(const Product &p) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(p.m), int(p.n), int(p.k),
                1, p.a, int(p.k), p.b, int(p.n), 0, p.c, int(p.n));
}
