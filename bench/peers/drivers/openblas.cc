// OpenBLAS, fp32: cblas_sgemm. Threads and the core type come from the
// environment.

#include "worker.h"

#if __has_include(<cblas-openblas.h>)
#include <cblas-openblas.h> // in Debian cblas.h may be another library's
#else
#include <cblas.h>
#endif

About about() {
    // "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64"
    std::string config = openblas_get_config(), version = config;
    version.erase(0, version.find(' ') + 1);
    version.erase(std::min(version.find(' '), version.size()));
    return {"OpenBLAS", version, openblas_get_corename(), "cblas_sgemm; " + config};
}

std::string prepare(const Product &) { return ""; }

void multiply(const Product &p) {
    cblas_sgemm(CblasRowMajor, p.ta ? CblasTrans : CblasNoTrans, p.tb ? CblasTrans : CblasNoTrans, int(p.m), int(p.n), int(p.k),
                1, p.a, int(p.lda()), p.b, int(p.ldb()), 0, p.c, int(p.n));
}
