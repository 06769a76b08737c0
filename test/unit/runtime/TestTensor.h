// A DLTensor with the storage of its shape and strides.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_TESTTENSOR_H
#define MOEC_TEST_UNIT_RUNTIME_TESTTENSOR_H

#include "moert/abi.h"

#include <string>
#include <vector>

namespace moec::test {

struct TestTensor {
  TestTensor(void *data, uint8_t code, uint8_t bits, std::vector<int64_t> shape,
             std::vector<int64_t> strides = {})
      : shape(std::move(shape)), strides(std::move(strides)) {
    view.data = data;
    view.device = {kDLCPU, 0};
    view.ndim = int32_t(this->shape.size());
    view.dtype = {code, bits, 1};
    view.shape = this->shape.data();
    view.strides = this->strides.empty() ? nullptr : this->strides.data();
    view.byte_offset = 0;
  }
  TestTensor(const TestTensor &) = delete;
  TestTensor &operator=(const TestTensor &) = delete;

  std::vector<int64_t> shape, strides;
  DLTensor view;
};

/// A moert_call with room for a message and 64-byte aligned workspace.
struct TestCall {
  TestCall() {
    call.size = sizeof call;
    call.abi_version = MOERT_ABI_VERSION;
    call.stream = nullptr;
    call.workspace = workspace;
    call.workspace_bytes = sizeof workspace;
    call.error = {text, sizeof text};
  }

  std::string message() const { return text; }

  moert_call call = {};
  char text[256] = "";
  alignas(64) char workspace[1024];
};

} // namespace moec::test

#endif // MOEC_TEST_UNIT_RUNTIME_TESTTENSOR_H
