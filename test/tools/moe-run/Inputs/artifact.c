/* Two libraries as the compiler makes them, for moe-run to run and compare; -DOTHER makes the second.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * An entry is a list of arguments: FIRST for the first, NEXT for the others, each with name, type, role, rank and
 * extents. Manifest and table are both made from it. A scalar has rank 0 and no extents. */
#include "moert/abi.h"

#include <math.h>
#include <string.h>

#ifdef OTHER
#define HERE_OR_OTHER(here, other) other
#else
#define HERE_OR_OTHER(here, other) here
#endif

#define DTYPE_F64 "float64"
#define CODE_F64 kDLFloat, 64
#define DTYPE_F32 "float32"
#define CODE_F32 kDLFloat, 32
#define DTYPE_F16 "float16"
#define CODE_F16 kDLFloat, 16
#define DTYPE_BF16 "bfloat16"
#define CODE_BF16 kDLBfloat, 16
#define DTYPE_I64 "int64"
#define CODE_I64 kDLInt, 64
#define DTYPE_I32 "int32"
#define CODE_I32 kDLInt, 32
#define DTYPE_I8 "int8"
#define CODE_I8 kDLInt, 8
#define DTYPE_BOOL "bool"
#define CODE_BOOL kDLBool, 8
#define ROLE_IN "input"
#define IS_OUTPUT_IN 0
#define ROLE_OUT "output"
#define IS_OUTPUT_OUT 1

/* y = 2 x + ids, row by row; the other library is off by 2^-10 of it. */
#define LAYER(FIRST, NEXT) FIRST("x", F32, IN, 2, -2, 4) NEXT("ids", I32, IN, 1, -2) NEXT("y", F32, OUT, 2, -2, 4)

/* Each output is its input. */
#define TYPES(FIRST, NEXT)                                                                                             \
  FIRST("f64", F64, IN, 2, -2, 3)                                                                                      \
  NEXT("f32", F32, IN, 2, -2, 3)                                                                                       \
  NEXT("f16", F16, IN, 2, -2, 3)                                                                                       \
  NEXT("bf16", BF16, IN, 2, -2, 3)                                                                                     \
  NEXT("i64", I64, IN, 2, -2, 3)                                                                                       \
  NEXT("i32", I32, IN, 2, -2, 3)                                                                                       \
  NEXT("i8", I8, IN, 2, -2, 3)                                                                                         \
  NEXT("bool", BOOL, IN, 2, -2, 3)                                                                                     \
  NEXT("of_f64", F64, OUT, 2, -2, 3)                                                                                   \
  NEXT("of_f32", F32, OUT, 2, -2, 3)                                                                                   \
  NEXT("of_f16", F16, OUT, 2, -2, 3)                                                                                   \
  NEXT("of_bf16", BF16, OUT, 2, -2, 3)                                                                                 \
  NEXT("of_i64", I64, OUT, 2, -2, 3)                                                                                   \
  NEXT("of_i32", I32, OUT, 2, -2, 3)                                                                                   \
  NEXT("of_i8", I8, OUT, 2, -2, 3)                                                                                     \
  NEXT("of_bool", BOOL, OUT, 2, -2, 3)

/* A scalar, a name that would leave a folder, and an extent of its own. */
#define SHAPES(FIRST, NEXT)                                                                                            \
  FIRST("scalar", F32, IN, 0)                                                                                          \
  NEXT("free", F32, IN, 1, -1)                                                                                         \
  NEXT("fixed", I32, IN, 2, 1, 2)                                                                                      \
  NEXT("of_scalar", F32, OUT, 0)                                                                                       \
  NEXT("../of_free", F32, OUT, 1, -1)                                                                                  \
  NEXT("of_fixed", I32, OUT, 2, 1, 2)

/* Values that comparisons treat apart. */
#define SPECIAL(FIRST, NEXT)                                                                                           \
  FIRST("nan_in_both", F32, OUT, 1, 3)                                                                                 \
  NEXT("nan_here", F32, OUT, 1, 3)                                                                                     \
  NEXT("nan_there", F32, OUT, 1, 3)                                                                                    \
  NEXT("infinities", F32, OUT, 1, 3)                                                                                   \
  NEXT("opposite_infinities", F32, OUT, 1, 3)                                                                          \
  NEXT("infinity_here", F32, OUT, 1, 3)                                                                                \
  NEXT("zeros", F32, OUT, 1, 3)                                                                                        \
  NEXT("from_zeros", F32, OUT, 1, 3)                                                                                   \
  NEXT("huge", F64, OUT, 1, 2)                                                                                         \
  NEXT("wide", I64, OUT, 1, 2)

/* Nothing is written. */
#define UNWRITTEN(FIRST, NEXT) FIRST("y", F32, OUT, 1, 3)

/* The table is wider than the manifest says, so that the call is refused. */
#define DAMAGED(FIRST, NEXT) FIRST("y", F32, OUT, 1, 3)
#define DAMAGED_TABLE(FIRST, NEXT) FIRST("y", F32, OUT, 1, 4)

#define REFUSED_THERE_TABLE(FIRST, NEXT) FIRST("y", F32, OUT, 1, HERE_OR_OTHER(3, 4))

/* Entries whose arguments differ between the libraries. */
#define EXTENT(FIRST, NEXT) FIRST("x", F32, IN, 2, -2, 4) NEXT("y", F32, OUT, 2, -2, HERE_OR_OTHER(4, 5))
#define CLASSES(FIRST, NEXT)                                                                                           \
  FIRST("x", F32, IN, 1, -2) NEXT("z", F32, IN, 1, HERE_OR_OTHER(-3, -2)) NEXT("y", F32, OUT, 1, HERE_OR_OTHER(-3, -2))
#define RANK(FIRST, NEXT) FIRST("x", F32, IN, 1, -2) HERE_OR_OTHER(NEXT("y", F32, OUT, 1, -2), NEXT("y", F32, OUT, 2, -2, 1))
#define FIXED(FIRST, NEXT) FIRST("x", F32, IN, 1, HERE_OR_OTHER(-2, 8)) NEXT("y", F32, OUT, 1, HERE_OR_OTHER(-2, 8))
#define NAME(FIRST, NEXT) FIRST("x", F32, IN, 1, -2) NEXT(HERE_OR_OTHER("y", "z"), F32, OUT, 1, -2)
#define ROLE(FIRST, NEXT) FIRST("x", F32, IN, 1, -2) HERE_OR_OTHER(NEXT("y", F32, IN, 1, -2), NEXT("y", F32, OUT, 1, -2))
#define TYPE(FIRST, NEXT) HERE_OR_OTHER(FIRST("x", F32, IN, 1, -2), FIRST("x", F16, IN, 1, -2)) NEXT("y", F32, OUT, 1, -2)
#define COUNT(FIRST, NEXT) FIRST("x", F32, IN, 1, -2) NEXT("y", F32, OUT, 1, -2) HERE_OR_OTHER(, NEXT("z", F32, OUT, 1, -2))
#define ONLY(FIRST, NEXT) FIRST("y", F32, OUT, 1, 3)

typedef struct {
  void *allocated;
  char *aligned;
  int64_t offset;
  int64_t sizes[MOERT_MAX_RANK];
} Memory;

static void nothing(void **descriptors) { (void)descriptors; }
static void noBytes(void **descriptors, int32_t count) { *(int64_t *)descriptors[count] = 0; }

static void layerKernel(void **descriptors) {
  const Memory *x = descriptors[0], *ids = descriptors[1], *y = descriptors[2];
  for (int64_t i = 0; i < x->sizes[0] * 4; ++i)
    ((float *)y->aligned)[i] =
        (2 * ((float *)x->aligned)[i] + (float)((int32_t *)ids->aligned)[i / 4]) * HERE_OR_OTHER(1.0f, 1.0009765625f);
}

static void typesKernel(void **descriptors) {
  static const int64_t bytes[] = {8, 4, 2, 2, 8, 4, 1, 1};
  for (int i = 0; i < 8; ++i) {
    const Memory *from = descriptors[i], *to = descriptors[8 + i];
    if (from->sizes[0] > 0)
      memcpy(to->aligned, from->aligned, (size_t)(bytes[i] * from->sizes[0] * 3));
  }
}

static void shapesKernel(void **descriptors) {
  const Memory *from = descriptors[1], *to = descriptors[4];
  int64_t count = from->sizes[0] < to->sizes[0] ? from->sizes[0] : to->sizes[0];
  memcpy(((Memory *)descriptors[3])->aligned, ((Memory *)descriptors[0])->aligned, 4);
  if (count > 0)
    memcpy(to->aligned, from->aligned, (size_t)count * 4);
  memcpy(((Memory *)descriptors[5])->aligned, ((Memory *)descriptors[2])->aligned, 8);
}

static void specialKernel(void **descriptors) {
  const float floats[8][3] = {{1, NAN, HERE_OR_OTHER(4, 3)},
                              {1, HERE_OR_OTHER(NAN, 2), 4},
                              {HERE_OR_OTHER(1, NAN), HERE_OR_OTHER(2, NAN), 4},
                              {INFINITY, -INFINITY, HERE_OR_OTHER(4, 3)},
                              {1, HERE_OR_OTHER(INFINITY, -INFINITY), 4},
                              {1, HERE_OR_OTHER(INFINITY, 2), 4},
                              {0, 0, 0},
                              {0, HERE_OR_OTHER(0, 0.5f), 0}};
  const double huge[2] = {1e300, HERE_OR_OTHER(0, 5e299)};
  const int64_t wide[2] = {INT64_C(9007199254740993), HERE_OR_OTHER(INT64_MIN, INT64_MIN + 3)};
  for (int i = 0; i < 8; ++i)
    memcpy(((Memory *)descriptors[i])->aligned, floats[i], sizeof floats[i]);
  memcpy(((Memory *)descriptors[8])->aligned, huge, sizeof huge);
  memcpy(((Memory *)descriptors[9])->aligned, wide, sizeof wide);
}

/* What makes tables, counts, manifests and exports of the lists. */
#define ROW(name, type, role, rank, ...) {name, CODE_##type, IS_OUTPUT_##role, rank, {__VA_ARGS__}, 0, 0},
#define ONE(...) +1
#define TEXT(...) #__VA_ARGS__
#define JSON_FIRST(name, type, role, rank, ...)                                                                        \
  "{\"name\": \"" name "\", \"dtype\": \"" DTYPE_##type "\", \"role\": \"" ROLE_##role "\", \"shape\": ["               \
  TEXT(__VA_ARGS__) "]}"
#define JSON_NEXT(...) ", " JSON_FIRST(__VA_ARGS__)
#define JSON_ENTRY(name, LIST)                                                                                         \
  "{\"name\": \"" #name "\", \"symbol\": \"moec_" #name "\", \"arguments\": [" LIST(JSON_FIRST, JSON_NEXT) "]}"

#define EXPORT __attribute__((visibility("default")))
#define ENTRY(name, LIST, kernel)                                                                                      \
  static const moert_argument name##Arguments[] = {LIST(ROW, ROW)};                                                    \
  static void name##Workspace(void **descriptors) { noBytes(descriptors, 0 LIST(ONE, ONE)); }                          \
  static const moert_variant name##Variant = {"portable", 0, kernel, name##Workspace, 0};                              \
  static const moert_entry name##Entry = {sizeof(moert_entry), 0 LIST(ONE, ONE), "moec_" #name,                        \
                                          name##Arguments,     &name##Variant,   1};                                   \
  EXPORT int32_t moec_##name(const moert_call *call, DLTensor *const *args, int32_t count);                            \
  EXPORT int32_t moec_##name(const moert_call *call, DLTensor *const *args, int32_t count) {                           \
    return moert_entry_call(&name##Entry, call, args, count);                                                          \
  }                                                                                                                    \
  EXPORT int32_t moec_##name##_workspace(const moert_call *call, DLTensor *const *args, int32_t count,                 \
                                         uint64_t *bytes);                                                             \
  EXPORT int32_t moec_##name##_workspace(const moert_call *call, DLTensor *const *args, int32_t count,                 \
                                         uint64_t *bytes) {                                                            \
    return moert_entry_workspace(&name##Entry, call, args, count, bytes);                                              \
  }

ENTRY(layer, LAYER, layerKernel)
ENTRY(types, TYPES, typesKernel)
ENTRY(shapes, SHAPES, shapesKernel)
ENTRY(special, SPECIAL, specialKernel)
ENTRY(unwritten, UNWRITTEN, nothing)
ENTRY(damaged, DAMAGED_TABLE, nothing)
ENTRY(refused_there, REFUSED_THERE_TABLE, nothing)
ENTRY(extent, EXTENT, nothing)
ENTRY(classes, CLASSES, nothing)
ENTRY(rank, RANK, nothing)
ENTRY(fixed, FIXED, nothing)
ENTRY(name, NAME, nothing)
ENTRY(role, ROLE, nothing)
ENTRY(type, TYPE, nothing)
ENTRY(count, COUNT, nothing)
#ifdef OTHER
ENTRY(only_there, ONLY, nothing)
#define ONLY_ENTRY JSON_ENTRY(only_there, ONLY)
#else
ENTRY(only_here, ONLY, nothing)
#define ONLY_ENTRY JSON_ENTRY(only_here, ONLY)
#endif

EXPORT const char *moec_manifest(void);
EXPORT const char *moec_manifest(void) {
  return "{\"moec_manifest\": \"0.1\", \"abi\": \"0.6\", \"compiler\": \"by hand\", \"pipeline\": \"none\", \"entries\": "
         "[" JSON_ENTRY(layer, LAYER) ", " JSON_ENTRY(types, TYPES) ", " JSON_ENTRY(shapes, SHAPES) ", " JSON_ENTRY(
             special, SPECIAL) ", " JSON_ENTRY(unwritten, UNWRITTEN) ", " JSON_ENTRY(damaged, DAMAGED) ", "
         JSON_ENTRY(refused_there, DAMAGED) ", " JSON_ENTRY(extent, EXTENT) ", " JSON_ENTRY(classes, CLASSES) ", " JSON_ENTRY(rank, RANK) ", " JSON_ENTRY(
             fixed, FIXED) ", " JSON_ENTRY(name, NAME) ", " JSON_ENTRY(role, ROLE) ", " JSON_ENTRY(type, TYPE) ", "
         JSON_ENTRY(count, COUNT) ", " ONLY_ENTRY "]}";
}

EXPORT uint32_t moec_abi_version(void);
EXPORT uint32_t moec_abi_version(void) { return MOERT_ABI_VERSION; }
