"""The orders of the loader and of Split, from the papers rather than from Go.

PCG-DXSM: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient
Statistically Good Algorithms for Random Number Generation", 2014, with the
output function of 2019 and the constants of Go's math/rand/v2. Bounded
numbers: D. Lemire, "Fast Random Integer Generation in an Interval", 2019.

    python3 order.py
"""

MASK = (1 << 64) - 1


class PCG:
    def __init__(self, hi, lo):
        self.state = hi << 64 | lo

    def uint64(self):
        multiplier = 2549297995355413924 << 64 | 4865540595714422341
        increment = 6364136223846793005 << 64 | 1442695040888963407
        self.state = (self.state * multiplier + increment) & ((1 << 128) - 1)
        hi, lo = self.state >> 64, self.state & MASK
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 & MASK
        hi ^= hi >> 48
        return hi * (lo | 1) & MASK

    def below(self, n):
        if n & (n - 1) == 0:
            return self.uint64() & (n - 1)
        product = self.uint64() * n
        while product & MASK < (1 << 64) % n:
            product = self.uint64() * n
        return product >> 64


def shuffled(rng, n):
    a = list(range(n))
    for i in range(n - 1, 0, -1):
        j = rng.below(i + 1)
        a[i], a[j] = a[j], a[i]
    return a


print("loader, seed 42, epoch 3, 100 samples:", shuffled(PCG(42, 0x73687566666C6500 + 3), 100)[:10])
print("split, seed 7, 10 of 1000:", sorted(shuffled(PCG(7, 0x73706C6974000000), 1000)[:10]))
