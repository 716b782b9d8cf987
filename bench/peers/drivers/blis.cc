// BLIS, fp32: bli_sgemm. Threads come from the environment, and so does the
// configuration, by name: BLIS_ARCH_TYPE=skx.

#include "worker.h"

extern "C" {
#include <blis.h>
}

// named makes of a name in BLIS_ARCH_TYPE the number that BLIS up to 0.9 wants, which
// another version may have for another name.
static void named() {
    const char *name = std::getenv("BLIS_ARCH_TYPE");
    for (int id = 0; name && id < BLIS_NUM_ARCHS; id++) {
        if (std::strcmp(name, bli_arch_string(arch_t(id))) == 0) {
            setenv("BLIS_ARCH_TYPE", std::to_string(id).c_str(), 1);
            return;
        }
    }
}

About about() {
    named();
    bli_init(); // which bli_arch_query_id needs where it is told a number
    std::string threads = bli_info_get_enable_openmp() ? "OpenMP" : bli_info_get_enable_pthreads() ? "threads of its own" : "one thread";
    return {"BLIS", bli_info_get_version_str(), bli_arch_string(bli_arch_query_id()), "bli_sgemm; " + threads};
}

std::string prepare(const Product &) { return ""; }

void multiply(const Product &p) {
    float one = 1, zero = 0;
    bli_sgemm(p.ta ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, p.tb ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, p.m, p.n, p.k,
              &one, p.a, p.lda(), 1, p.b, p.ldb(), 1, &zero, p.c, p.n, 1);
}
