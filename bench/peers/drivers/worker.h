// What the C++ workers share: the protocol (see worker.go), the operands, the
// clock. A driver defines the three functions declared first.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <string>

// C (m×n) = A (m×k) · B (k×n). All are dense and row-major, but where ta or tb says
// that A or B is stored transposed. lda and ldb are the lengths of stored rows.
struct Product {
    int64_t m, n, k;
    bool ta, tb;
    float *a, *b, *c;

    int64_t lda() const { return ta ? m : k; }
    int64_t ldb() const { return tb ? k : n; }
};

// About is what the library is: its name, its version, the processor or instruction
// set that its code is for, as it says, and what else there is to tell.
struct About {
    std::string name, version, core, detail;
};

About about();

// prepare does what need not be done again for each product of these operands,
// and returns how it will be done, in one word, or "" where there is one way.
std::string prepare(const Product &p);

// multiply computes the product that was prepared last.
void multiply(const Product &p);

// nanoseconds returns how long f takes, a call, over so many calls. As many
// before them are not timed: they find cold caches, sleeping threads and a
// processor that has slowed down.
static double nanoseconds(int64_t calls, const std::function<void()> &f) {
    for (int64_t i = 0; i < calls; i++) {
        f();
    }
    auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < calls; i++) {
        f();
    }
    std::chrono::duration<double, std::nano> d = std::chrono::steady_clock::now() - start;
    return d.count() / double(calls);
}

// value is an operand's element where its position along k is p and the other
// is i: the formula is in operands.go.
static float value(int64_t i, int64_t p, int64_t fi, int64_t fp) {
    return float(64 + (fi * i + fp * p) % 64) / float(256 << (i % 2));
}

static float *allocate(float *old, int64_t elements) {
    std::free(old);
    size_t bytes = (size_t(elements) * sizeof(float) + 63) / 64 * 64;
    float *p = static_cast<float *>(std::aligned_alloc(64, bytes));
    if (!p) {
        throw std::bad_alloc();
    }
    return p;
}

int main() {
    Product p{};
    char line[256];
    try {
        About us = about();
        std::printf("ready %s\t%s\t%s\t%s\n", us.name.c_str(), us.version.c_str(), us.core.c_str(), us.detail.c_str());
        std::fflush(stdout);
        while (std::fgets(line, sizeof line, stdin)) {
            long long m, n, k, calls;
            char ta, tb;
            if (std::sscanf(line, "prepare %lld %lld %lld %c%c", &m, &n, &k, &ta, &tb) == 5) {
                p.m = m, p.n = n, p.k = k, p.ta = ta == 't', p.tb = tb == 't';
                p.a = allocate(p.a, m * k);
                p.b = allocate(p.b, k * n);
                p.c = allocate(p.c, m * n);
                for (int64_t i = 0; i < m; i++) {
                    for (int64_t q = 0; q < k; q++) {
                        p.a[p.ta ? q * m + i : i * k + q] = value(i, q, 31, 17);
                    }
                }
                for (int64_t q = 0; q < k; q++) {
                    for (int64_t j = 0; j < n; j++) {
                        p.b[p.tb ? j * k + q : q * n + j] = value(j, q, 13, 29);
                    }
                }
                std::memset(p.c, 0, size_t(m * n) * sizeof(float));
                std::string how = prepare(p);
                multiply(p);
                std::printf("ok %g %g %s\n", p.c[0], p.c[m * n - 1], how.c_str());
            } else if (std::strcmp(line, "show\n") == 0 && p.c) {
                for (int64_t i = 0; i < p.m * p.n; i++) {
                    std::printf("%.9g ", p.c[i]);
                }
                std::printf("\n");
            } else if (std::sscanf(line, "gemm %lld %lld %lld %lld", &m, &n, &k, &calls) == 4 && m == p.m && n == p.n && k == p.k && calls > 0) {
                std::printf("%.1f\n", nanoseconds(calls, [&] { multiply(p); }));
            } else {
                std::printf("error unknown command, or a shape that is not prepared: %s", line);
            }
            std::fflush(stdout);
        }
    } catch (const std::exception &e) {
        std::printf("error %s\n", e.what());
        return 1;
    }
    return 0;
}
