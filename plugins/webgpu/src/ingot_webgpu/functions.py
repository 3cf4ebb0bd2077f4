"""WGSL functions for what the language lacks, leaves open, or computes too loosely: a table of name and text.

WGSL promises little of floats: an implementation may assume that there is no NaN and no infinity, reorder and contract
sums, flush denormals, and be off by 2⁻¹¹ in a sine. So NaN is told by its bits, and ``ig_exact`` hides a value from the
optimiser: it is a xor with a word that is 0 only at run time. exp and log are polynomials (Cephes), sine and cosine are
reduced by Cody and Waite's method or, for large arguments, by Payne and Hanek's (1983). Integer rows wrap, floor and
never trap. `wgsl` takes from here what a kernel uses; ``ig_zero`` is a private variable that it sets.
"""

from __future__ import annotations

import re

_TABLE = """
fn ig_exact(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ ig_zero); }

fn ig_bits(b: u32) -> f32 { return bitcast<f32>(b ^ ig_zero); }

fn ig_isnan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7FFFFFFFu) > 0x7F800000u; }

fn ig_isinf(x: f32) -> bool { return (bitcast<u32>(x) & 0x7FFFFFFFu) == 0x7F800000u; }

fn ig_abs(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0x7FFFFFFFu); }

fn ig_not(x: bool) -> bool { return x == (ig_zero != 0u); }

fn ig_maximum(a: f32, b: f32) -> f32 { return select(b, a, a > b || ig_isnan(a)); }

fn ig_minimum(a: f32, b: f32) -> f32 { return select(b, a, a < b || ig_isnan(a)); }

fn ig_idiv_i(a: i32, b: i32) -> i32 {
  if (b == 0i) { return 0i; }
  if (b == -1i) { return bitcast<i32>(0u - bitcast<u32>(a)); }
  let q = a / b;
  return select(q, q - 1i, q * b != a && (a < 0i) != (b < 0i));
}

fn ig_mod_i(a: i32, b: i32) -> i32 {
  if (b == 0i || b == -1i) { return 0i; }
  let r = a % b;
  return select(r, r + b, r != 0i && (r < 0i) != (b < 0i));
}

fn ig_idiv_u(a: u32, b: u32) -> u32 {
  if (b == 0u) { return 0u; }
  return a / b;
}

fn ig_mod_u(a: u32, b: u32) -> u32 {
  if (b == 0u) { return 0u; }
  return a % b;
}

fn ig_shl_i(a: i32, b: i32) -> i32 { return select(0i, a << (bitcast<u32>(b) & 31u), bitcast<u32>(b) < 32u); }

fn ig_shl_u(a: u32, b: u32) -> u32 { return select(0u, a << (b & 31u), b < 32u); }

fn ig_shr_i(a: i32, b: i32) -> i32 { return a >> min(bitcast<u32>(b), 31u); }

fn ig_shr_u(a: u32, b: u32) -> u32 { return select(0u, a >> (b & 31u), b < 32u); }

fn ig_mulhi_u(a: u32, b: u32) -> u32 {
  let al = a & 0xFFFFu;
  let ah = a >> 16u;
  let bl = b & 0xFFFFu;
  let bh = b >> 16u;
  let m = ah * bl + ((al * bl) >> 16u);
  let n = al * bh + (m & 0xFFFFu);
  return ah * bh + (m >> 16u) + (n >> 16u);
}

fn ig_mulhi_i(a: i32, b: i32) -> i32 {
  let high = bitcast<i32>(ig_mulhi_u(bitcast<u32>(a), bitcast<u32>(b)));
  return high - select(0i, b, a < 0i) - select(0i, a, b < 0i);
}

fn ig_u32(x: f32) -> u32 { return select(u32(x), bitcast<u32>(i32(x)), x < 0.0f); }

fn ig_fmod(x: f32, y: f32) -> f32 {
  let a = bitcast<u32>(x) & 0x7FFFFFFFu;
  let b = bitcast<u32>(y) & 0x7FFFFFFFu;
  if (a >= 0x7F800000u || b > 0x7F800000u || b == 0u) { return ig_bits(0x7FC00000u); }
  if (a < b) { return x; }
  var e = max(i32(a >> 23u), 1i);
  let last = max(i32(b >> 23u), 1i);
  var m = select(a & 0x7FFFFFu, (a & 0x7FFFFFu) | 0x800000u, a >= 0x800000u);
  let n = select(b & 0x7FFFFFu, (b & 0x7FFFFFu) | 0x800000u, b >= 0x800000u);
  while (e > last) {
    m = select(m, m - n, m >= n) << 1u;
    e = e - 1i;
  }
  m = select(m, m - n, m >= n);
  let up = min(countLeadingZeros(m | 1u) - 8u, u32(last - 1i));
  m = m << up;
  let size = select(m, (m & 0x7FFFFFu) | ((u32(last) - up) << 23u), m >= 0x800000u);
  return bitcast<f32>(size | (bitcast<u32>(x) & 0x80000000u));
}

fn ig_mod_f(a: f32, b: f32) -> f32 {
  let r = ig_fmod(a, b);
  let zero = bitcast<f32>(bitcast<u32>(b) & 0x80000000u);
  let moved = select(r, r + b, (r < 0.0f) != (b < 0.0f));
  return select(moved, zero, (bitcast<u32>(r) & 0x7FFFFFFFu) == 0u);
}

fn ig_exp(x: f32) -> f32 {
  let c = select(select(x, 89.0f, x > 89.0f), -104.0f, x < -104.0f);
  let k = floor(c * 1.44269504f + 0.5f);
  let r = ig_exact(c - k * 0.693359375f) - k * -2.12194440e-4f;
  var p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  let n = i32(k);
  let h = n >> 1u;
  let made = ig_exact(p * bitcast<f32>((h + 127i) << 23u)) * bitcast<f32>((n - h + 127i) << 23u);
  return select(made, x, ig_isnan(x));
}

fn ig_exp2(x: f32) -> f32 {
  let c = select(select(x, 129.0f, x > 129.0f), -151.0f, x < -151.0f);
  let k = floor(c + 0.5f);
  let r = ig_exact(c - k) * 0.693147182f;
  var p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  let n = i32(k);
  let h = n >> 1u;
  let made = ig_exact(p * bitcast<f32>((h + 127i) << 23u)) * bitcast<f32>((n - h + 127i) << 23u);
  return select(made, x, ig_isnan(x));
}

fn ig_log(x: f32) -> f32 {
  let b = bitcast<u32>(x);
  if (b >= 0x7F800000u || b < 0x800000u) {
    if (b == 0x7F800000u) { return x; }
    return ig_bits(select(0x7FC00000u, 0xFF800000u, (b & 0x7FFFFFFFu) < 0x800000u));
  }
  let low = (b & 0x7FFFFFu) < 0x3504F3u;
  let e = f32(i32(b >> 23u) - select(126i, 127i, low));
  let f = bitcast<f32>((b & 0x7FFFFFu) | select(0x3F000000u, 0x3F800000u, low)) - 1.0f;
  let z = f * f;
  var p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  let y = ig_exact(ig_exact(p * f * z + e * -2.12194440e-4f) - 0.5f * z) + f;
  return ig_exact(y) + e * 0.693359375f;
}

const ig_two_over_pi = array<u32, 6>(0x28BE60DBu, 0x9391054Au, 0x7F09D5F4u, 0x7D4D3770u, 0x36D8A566u, 0x4F10E410u);

fn ig_turn_far(x: f32) -> vec2<f32> {
  var table = ig_two_over_pi;
  let b = bitcast<u32>(x);
  let m = ((b & 0x7FFFFFu) << 8u) | 0x80000000u;
  let e = ((b >> 23u) & 0xFFu) - 126u;
  let i = e >> 5u;
  let s = e & 31u;
  let first = select(0u, table[max(i, 1u) - 1u], i > 0u);
  let high = (first << s) | ig_shr_u(table[i], 32u - s);
  let middle = (table[i] << s) | ig_shr_u(table[i + 1u], 32u - s);
  let low = (table[i + 1u] << s) | ig_shr_u(table[min(i + 2u, 5u)], 32u - s);
  let carried = m * middle + ig_mulhi_u(m, low);
  let top = m * high + ig_mulhi_u(m, middle) + select(0u, 1u, carried < m * middle);
  let q = top >> 30u;
  let over = (top & 0x20000000u) != 0u;
  var fh = top & 0x3FFFFFFFu;
  var fl = carried;
  if (over) {
    fh = (fh | 0xC0000000u);
    fl = 0u - fl;
    fh = ~fh + select(0u, 1u, fl == 0u);
  }
  let up = countLeadingZeros(fh);
  let word = select(ig_shl_u(fh, up) | ig_shr_u(fl, 32u - up), fl, up >= 32u);
  let r = f32(word) * bitcast<f32>((127u - 30u - min(up, 32u)) << 23u) * 1.57079633f;
  let quarter = f32((q + select(0u, 1u, over)) & 3u);
  let turned = select(r, -r, over != (x < 0.0f));
  return vec2<f32>(select(quarter, -quarter, x < 0.0f), turned);
}

fn ig_turn(x: f32) -> vec2<f32> {
  if (ig_abs(x) > 3000.0f) { return ig_turn_far(x); }
  let n = floor(x * 0.636619747f + 0.5f);
  let near = ig_exact(ig_exact(x - n * 1.5703125f) - n * 0.0004837512969970703f);
  let r = ig_exact(near - n * 7.549533620476723e-08f) - n * 2.563344151594519e-12f;
  return vec2<f32>(n, r);
}

fn ig_sine(r: f32) -> f32 {
  let z = r * r;
  return r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
}

fn ig_cosine(r: f32) -> f32 {
  let z = r * r;
  return (1.0f - 0.5f * z) + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
}

fn ig_sin(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7F800000u) == 0x7F800000u) { return ig_bits(0x7FC00000u); }
  let t = ig_turn(x);
  let q = i32(t.x) & 3i;
  let size = select(ig_sine(t.y), ig_cosine(t.y), (q & 1i) != 0i);
  return select(select(size, -size, q >= 2i), x, x == 0.0f);
}

fn ig_cos(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7F800000u) == 0x7F800000u) { return ig_bits(0x7FC00000u); }
  let t = ig_turn(x);
  let q = i32(t.x) & 3i;
  let size = select(ig_cosine(t.y), ig_sine(t.y), (q & 1i) != 0i);
  return select(size, -size, q == 1i || q == 2i);
}
"""


def _parse(table: str) -> dict[str, str]:
    """Name → text."""
    blocks = [block.strip() for block in table.strip().split("\n\n")]
    named = [(re.match(r"(?:fn|const) (\w+)", block), block) for block in blocks]
    return {found.group(1): block for found, block in named if found}


FUNCTIONS = _parse(_TABLE)
"""Every function by its name."""

_NEEDS = {
    name: [used for used in dict.fromkeys(re.findall(r"\big_\w+", text)) if used in FUNCTIONS and used != name]
    for name, text in FUNCTIONS.items()
}


def closure(names: set[str]) -> list[str]:
    """The texts of ``names`` and of what they call, in the table's order."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _NEEDS[name]
    return [text for name, text in FUNCTIONS.items() if name in found]
