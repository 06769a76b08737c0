/* Prints where C has the fields of the tables of moert/abi.h.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include <moert/abi.h>
#include <stdio.h>

#define FIELD(structure, name) printf(#structure "." #name " %zu\n", offsetof(structure, name))

int main(void) {
  FIELD(moert_argument, name);
  FIELD(moert_argument, code);
  FIELD(moert_argument, bits);
  FIELD(moert_argument, role);
  FIELD(moert_argument, rank);
  FIELD(moert_argument, shape);
  FIELD(moert_argument, contiguous);
  FIELD(moert_entry, size);
  FIELD(moert_entry, count);
  FIELD(moert_entry, name);
  FIELD(moert_entry, arguments);
  FIELD(moert_entry, variants);
  FIELD(moert_entry, variant_count);
  FIELD(moert_variant, name);
  FIELD(moert_variant, features);
  FIELD(moert_variant, kernel);
  FIELD(moert_variant, workspace);
  printf("moert_argument %zu\n", sizeof(moert_argument));
  printf("moert_entry %zu\n", sizeof(moert_entry));
  printf("moert_variant %zu\n", sizeof(moert_variant));
  return 0;
}
