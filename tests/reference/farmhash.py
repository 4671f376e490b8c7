"""FarmHash's Fingerprint64 with Python integers."""

K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
BELOW = 2**64


def fetch(text, at, size=8):
    return int.from_bytes(text[at : at + size], "little")


def rotate(x, bits):
    x %= BELOW
    return (x >> bits | x << (64 - bits)) % BELOW


def shift_mix(x):
    x %= BELOW
    return x ^ x >> 47


def mix(u, v, mul):
    a = shift_mix((u ^ v) % BELOW * mul)
    b = shift_mix((v % BELOW ^ a) * mul)
    return b * mul % BELOW


def weak(text, a, b):
    """Hash 32 bytes with two seeds."""
    w, x, y, z = (fetch(text, at) for at in (0, 8, 16, 24))
    a += w
    b = rotate(b + a + z, 21)
    c = a
    a += x + y
    return (a + z) % BELOW, (b + rotate(a, 44) + c) % BELOW


def fingerprint64(text):
    n = len(text)
    if n == 0:
        return K2
    if n < 4:
        y = text[0] + (text[n >> 1] << 8)
        z = n + (text[-1] << 2)
        return shift_mix(y * K2 % BELOW ^ z * K0 % BELOW) * K2 % BELOW
    mul = K2 + 2 * n
    if n < 8:
        return mix(n + (fetch(text, 0, 4) << 3), fetch(text, n - 4, 4), mul)
    first, last = fetch(text, 0), fetch(text, n - 8)
    if n <= 16:
        a, b = first + K2, last
        c = rotate(b, 37) * mul + a
        d = (rotate(a, 25) + b) * mul
        return mix(c, d, mul)
    before_last = fetch(text, n - 16)
    if n <= 32:
        a, b = first * K1, fetch(text, 8)
        c, d = last * mul, before_last * K2
        return mix(
            rotate(a + b, 43) + rotate(c, 30) + d,
            a + rotate(b + K2, 18) + c,
            mul,
        )
    if n <= 64:
        a, b = first * K2, fetch(text, 8)
        c, d = last * mul, before_last * K2
        y = rotate(a + b, 43) + rotate(c, 30) + d
        z = mix(y, a + rotate(b + K2, 18) + c, mul)
        e, f = fetch(text, 16) * mul, fetch(text, 24)
        g = (y + fetch(text, n - 32)) * mul
        h = (z + fetch(text, n - 24)) * mul
        return mix(
            rotate(e + f, 43) + rotate(g, 30) + h,
            e + rotate(f + a, 18) + g,
            mul,
        )
    return hash_long(text)


def hash_long(text):
    seed = 81
    x = seed * K2 + fetch(text, 0)
    y = seed * K1 + 113
    z = shift_mix(y * K2 + 113) * K2
    v = w = (0, 0)

    def step(block, x, y, z, v, w, mul, times):
        x = rotate(x + y + v[0] + fetch(block, 8), 37) * mul % BELOW
        y = rotate(y + v[1] + fetch(block, 48), 42) * mul % BELOW
        x ^= w[1] * times % BELOW
        y = (y + v[0] * times + fetch(block, 40)) % BELOW
        z = rotate(z + w[0], 33) * mul % BELOW
        v = weak(block, v[1] * mul, x + w[0])
        w = weak(block[32:], z + w[1], y + fetch(block, 16))
        return z, y, x, v, w

    end = (len(text) - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = step(text[at : at + 64], x, y, z, v, w, K1, 1)
    mul = K1 + ((z & 0xFF) << 1)
    w = w[0] + (len(text) - 1) % 64, w[1]
    v = v[0] + w[0], v[1]
    w = w[0] + v[0], w[1]
    x, y, z, v, w = step(text[-64:], x, y, z, v, w, mul, 9)
    return mix(
        mix(v[0], w[0], mul) + shift_mix(y) * K0 + z,
        mix(v[1], w[1], mul) + x,
        mul,
    )
