/* Checks conversions of f16 and bf16 against their definition: every value widened; every value, every midpoint between
 * neighbours and both numbers next to it narrowed.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include <dlfcn.h>
#include <math.h>
#include <moert/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *name;
  int code;            /* DLPack's */
  int mantissaBits;    /* stored ones */
  int leastExponent;   /* of the last digit of the smallest numbers */
  double largest;
} Format;

static const Format formats[] = {{"f16", kDLFloat, 10, -24, 65504.0},
                                 {"bf16", kDLBfloat, 7, -133, 0x1.FEp127}};
static int findings = 0;
static void *library = NULL;

/* The value of a bit pattern, by the definition of IEEE formats. */
static double decode(const Format *format, unsigned bits) {
  int m = format->mantissaBits;
  int exponent = (int)((bits & 0x7FFF) >> m);
  double mantissa = bits & ((1u << m) - 1);
  double magnitude;
  if (exponent == (0x7FFF >> m))
    magnitude = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    magnitude = ldexp(mantissa, format->leastExponent);
  else
    magnitude = ldexp(mantissa + (1 << m), exponent - 1 + format->leastExponent);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/* The nearest value of the format, ties to even. Scaling by powers of two and rint are exact. */
static double nearest(const Format *format, double x) {
  if (isnan(x) || isinf(x) || x == 0)
    return x;
  int exponent = ilogb(x) - format->mantissaBits;
  if (exponent < format->leastExponent)
    exponent = format->leastExponent;
  double rounded = ldexp(rint(ldexp(x, -exponent)), exponent);
  return fabs(rounded) > format->largest ? copysign(INFINITY, x) : rounded;
}

/* Runs one entry on `count` numbers. */
static void convert(const char *from, const char *to, void *in, int inCode, int inBits, void *out, int outCode,
                    int outBits, int64_t count) {
  char name[64];
  snprintf(name, sizeof name, "moec_%s_to_%s", from, to);
  int32_t (*entry)(const moert_call *, DLTensor *const *, int32_t);
  *(void **)&entry = dlsym(library, name);
  char text[256] = "";
  static _Alignas(64) char workspace[1 << 22];
  moert_call call = {sizeof call, MOERT_ABI_VERSION, NULL, workspace, sizeof workspace, {text, sizeof text}};
  DLTensor x = {in, {kDLCPU, 0}, 1, {(uint8_t)inCode, (uint8_t)inBits, 1}, &count, NULL, 0};
  DLTensor y = {out, {kDLCPU, 0}, 1, {(uint8_t)outCode, (uint8_t)outBits, 1}, &count, NULL, 0};
  DLTensor *arguments[] = {&x, &y};
  if (!entry || entry(&call, arguments, 2) != MOERT_OK) {
    printf("%s: %s\n", name, entry ? text : "not found");
    exit(1);
  }
}

static void check(const char *from, const char *to, double input, double got, double expected) {
  if (isnan(expected) ? isnan(got) : got == expected && !signbit(got) == !signbit(expected))
    return;
  if (++findings < 10)
    printf("%s to %s of %a: got %a, expected %a\n", from, to, input, got, expected);
}

int main(int argc, char **argv) {
  enum { values = 65536, candidates = 4 * values };
  static uint16_t narrow[candidates];
  static float single[candidates];
  static double wide[candidates];
  library = dlopen(argv[1], RTLD_NOW);
  if (!library) {
    printf("%s\n", dlerror());
    return 1;
  }
  for (int f = 0; f < 2; ++f) {
    const Format *format = &formats[f];
    for (unsigned bits = 0; bits < values; ++bits)
      narrow[bits] = (uint16_t)bits;
    convert(format->name, "f32", narrow, format->code, 16, single, kDLFloat, 32, values);
    for (unsigned bits = 0; bits < values; ++bits)
      check(format->name, "f32", bits, single[bits], decode(format, bits));

    for (int bits = 0; bits < values; ++bits) {
      double here = decode(format, bits);
      /* Behind the largest number comes what would be next. */
      double next = (bits & 0x7FFF) < 0x7FFF ? decode(format, bits + 1) : here;
      if (isinf(next) && !isinf(here))
        next = 2 * here - decode(format, bits - 1);
      double middle = here / 2 + next / 2;
      double four[] = {here, middle, nextafter(middle, INFINITY), nextafter(middle, -INFINITY)};
      float fourSingle[] = {(float)here, (float)middle, nextafterf((float)middle, INFINITY),
                            nextafterf((float)middle, -INFINITY)};
      memcpy(&wide[4 * bits], four, sizeof four);
      memcpy(&single[4 * bits], fourSingle, sizeof fourSingle);
    }
    convert("f64", format->name, wide, kDLFloat, 64, narrow, format->code, 16, candidates);
    for (int i = 0; i < candidates; ++i)
      check("f64", format->name, wide[i], decode(format, narrow[i]), nearest(format, wide[i]));
    convert("f32", format->name, single, kDLFloat, 32, narrow, format->code, 16, candidates);
    for (int i = 0; i < candidates; ++i)
      check("f32", format->name, single[i], decode(format, narrow[i]), nearest(format, single[i]));
  }
  printf("%d findings\n", findings);
  return findings != 0;
}
