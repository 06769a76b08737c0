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
  FIELD(moert_argument, alignment);
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
  FIELD(moert_variant, device);
  FIELD(moert_device_image, name);
  FIELD(moert_device_image, image);
  FIELD(moert_device_image, bytes);
  FIELD(moert_kernel_attributes, cluster);
  FIELD(moert_kernel_attributes, is_dependent);
  FIELD(moert_device_code, size);
  FIELD(moert_device_code, capability);
  FIELD(moert_device_code, is_exact);
  FIELD(moert_device_code, image_count);
  FIELD(moert_device_code, images);
  FIELD(moert_device_code, kernel_count);
  FIELD(moert_device_code, kernel_names);
  FIELD(moert_device_code, shared_bytes);
  FIELD(moert_device_code, state);
  FIELD(moert_device_code, runtime);
  FIELD(moert_device_code, attributes);
  printf("moert_argument %zu\n", sizeof(moert_argument));
  printf("moert_entry %zu\n", sizeof(moert_entry));
  printf("moert_variant %zu\n", sizeof(moert_variant));
  printf("moert_device_image %zu\n", sizeof(moert_device_image));
  printf("moert_kernel_attributes %zu\n", sizeof(moert_kernel_attributes));
  printf("moert_device_code %zu\n", sizeof(moert_device_code));
  return 0;
}
