/* Calls the step of bfloat16-links.mlir and computes the same in C. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { N = 512 };

void step(const float *x, const float *y, const double *d, float *result,
          double *converted, void *arena);

static uint32_t bitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static float fromBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/* The bfloat16 nearest to `value`, of two equally near ones the even one: the
   spacing of its neighbours is a power of two, and everything here is exact. */
static double nearest(double value) {
  int exponent;
  if (value == 0 || isinf(value))
    return value;
  if (isnan(value))
    return fromBits(0x7fc00000);
  frexp(value, &exponent);
  if (exponent < -125) /* subnormal */
    exponent = -125;
  double rounded = ldexp(nearbyint(ldexp(value, 8 - exponent)), exponent - 8);
  return fabs(rounded) >= ldexp(1, 128) ? copysign(INFINITY, value) : rounded;
}

static float expected(float x, float y) {
  float a = nearest(x), b = nearest(y);
  float sum = nearest(a + b), product = nearest(sum * b);
  float quotient = nearest(product / a);
  float chosen = quotient < sum ? quotient : product;
  float power = nearest(powf(chosen, 2));
  return nearest(fabsf(power) - a);
}

static uint64_t state = 1;
static uint64_t next(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 32 | state << 32;
}

int main(void) {
  static float x[N], y[N], result[N];
  static double d[N], converted[N];
  const uint32_t special[] = {0,          0x80000000, 0x7f800000, 0xff800000,
                              0x7f800001, 0x7fc00000, 0x00000001, 0x80018000,
                              0x3f808000, 0x3f818000, 0x7f7fffff, 0x00808000};
  const int count = sizeof(special) / sizeof(special[0]);
  for (int i = 0; i < N; ++i) {
    x[i] = i < count * count ? fromBits(special[i / count])
                             : ldexp(1 + (int64_t)next() / 0x1p63, next() % 8);
    y[i] = i < count * count ? fromBits(special[i % count])
                             : ldexp((int64_t)next() / 0x1p63, next() % 8);
    /* At a tie, or so near to one that a float of it is the tie; or anything. */
    double tie = fromBits(((uint32_t)next() & 0xffff0000u) | 0x8000u);
    uint64_t any = next();
    if (i % 2)
      d[i] =
          i < count ? special[i] : tie * (1 + ((int)(next() % 3) - 1) * 1e-12);
    else
      memcpy(&d[i], &any, sizeof(any));
  }
  step(x, y, d, result, converted, NULL);
  int differ = 0;
  for (int i = 0; i < N; ++i) {
    double near = nearest(d[i]);
    if (bitsOf(result[i]) != bitsOf(expected(x[i], y[i])) ||
        (isnan(near) ? !isnan(converted[i])
                     : memcmp(&near, &converted[i], 8))) {
      printf("%d: %a %a %a gave %a %a\n", i, x[i], y[i], d[i], result[i],
             converted[i]);
      ++differ;
    }
  }
  printf("%d numbers, %d differ\n", N, differ);
  return differ != 0;
}
