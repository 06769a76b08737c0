// Tests of the driver's functions on streams, events and graphs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

using namespace moec::ptx;

namespace {

/// A stream, and a kernel that doubles five floats.
struct StreamTest : testing::Test {
  StreamTest() {
    scale = driver.function(scaleKernel, "scale");
    buffer = driver.upload({1, 2, 3, 4, 5});
    EXPECT_EQ(
        (driver.call<CUstream *, unsigned>("cuStreamCreate", &stream, 1u)),
        CUDA_SUCCESS);
  }

  CUresult launch(CUstream into) {
    float factor = 2;
    unsigned count = 5;
    void *arguments[] = {&buffer, &factor, &count};
    return driver.launchKernel(scale, 1, 1, 1, 32, 1, 1, 0, into, arguments,
                               nullptr);
  }

  CUresult begin(int mode = 0) {
    return driver.call<CUstream, int>("cuStreamBeginCapture_v2", stream, mode);
  }

  CUresult end() {
    return driver.call<CUstream, CUgraph *>("cuStreamEndCapture", stream,
                                            &graph);
  }

  EmulatedDriver driver;
  CUfunction scale;
  CUdeviceptr buffer;
  CUstream stream = nullptr;
  CUgraph graph = nullptr;
};

} // namespace

TEST_F(StreamTest, GraphsRepeatWhatWasCaptured) {
  EXPECT_EQ(begin(), CUDA_SUCCESS);
  int status = 0;
  EXPECT_EQ(
      (driver.call<CUstream, int *>("cuStreamIsCapturing", stream, &status)),
      CUDA_SUCCESS);
  EXPECT_EQ(status, 1);
  EXPECT_EQ(launch(stream), CUDA_SUCCESS);
  EXPECT_EQ(launch(stream), CUDA_SUCCESS);
  EXPECT_EQ(end(), CUDA_SUCCESS);
  EXPECT_EQ(driver.download(buffer, 1)[0], 1);
  CUgraphExec executable = nullptr;
  EXPECT_EQ((driver.call<CUgraphExec *, CUgraph, unsigned long long>(
                "cuGraphInstantiateWithFlags", &executable, graph, 0)),
            CUDA_SUCCESS);
  for (float expected : {4.0f, 16.0f}) {
    EXPECT_EQ((driver.call<CUgraphExec, CUstream>("cuGraphLaunch", executable,
                                                  stream)),
              CUDA_SUCCESS);
    EXPECT_EQ(driver.download(buffer, 1)[0], expected);
  }
  EXPECT_EQ(driver.call<CUgraph>("cuGraphDestroy", graph), CUDA_SUCCESS);
  EXPECT_EQ(driver.call<CUgraphExec>("cuGraphExecDestroy", executable),
            CUDA_SUCCESS);
}

TEST_F(StreamTest, WhatMayNotBeCapturedInvalidatesTheCapture) {
  CUdeviceptr address = 0;
  EXPECT_EQ(begin(), CUDA_SUCCESS);
  EXPECT_EQ((driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address, 16)),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(launch(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(end(), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(begin(), CUDA_SUCCESS);
  EXPECT_EQ(driver.call<CUstream>("cuStreamSynchronize", stream),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(end(), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(begin(), CUDA_SUCCESS);
  EXPECT_EQ(launch(nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  EXPECT_EQ(end(), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

TEST_F(StreamTest, RelaxedCapturesLetOthersPass) {
  CUdeviceptr address = 0;
  EXPECT_EQ(begin(2), CUDA_SUCCESS);
  EXPECT_EQ((driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address, 16)),
            CUDA_SUCCESS);
  EXPECT_EQ(end(), CUDA_SUCCESS);
}

TEST_F(StreamTest, EventsTakeOtherStreamsIntoACapture) {
  CUstream other = nullptr;
  CUevent event = nullptr;
  EXPECT_EQ((driver.call<CUstream *, unsigned>("cuStreamCreate", &other, 1u)),
            CUDA_SUCCESS);
  EXPECT_EQ((driver.call<CUevent *, unsigned>("cuEventCreate", &event, 0u)),
            CUDA_SUCCESS);
  EXPECT_EQ(begin(), CUDA_SUCCESS);
  EXPECT_EQ((driver.call<CUevent, CUstream>("cuEventRecord", event, stream)),
            CUDA_SUCCESS);
  EXPECT_EQ((driver.call<CUstream, CUevent, unsigned>("cuStreamWaitEvent",
                                                      other, event, 0u)),
            CUDA_SUCCESS);
  EXPECT_EQ(launch(other), CUDA_SUCCESS);
  EXPECT_EQ(
      (driver.call<CUstream, CUgraph *>("cuStreamEndCapture", other, &graph)),
      CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  EXPECT_EQ(end(), CUDA_SUCCESS);
  EXPECT_EQ(driver.download(buffer, 1)[0], 1);
}

TEST_F(StreamTest, EventsMeasure) {
  CUevent events[2];
  for (CUevent &event : events) {
    EXPECT_EQ((driver.call<CUevent *, unsigned>("cuEventCreate", &event, 0u)),
              CUDA_SUCCESS);
    EXPECT_EQ((driver.call<CUevent, CUstream>("cuEventRecord", event, stream)),
              CUDA_SUCCESS);
    EXPECT_EQ(launch(stream), CUDA_SUCCESS);
  }
  float milliseconds = -1;
  EXPECT_EQ((driver.call<float *, CUevent, CUevent>(
                "cuEventElapsedTime", &milliseconds, events[0], events[1])),
            CUDA_SUCCESS);
  EXPECT_GE(milliseconds, 0);
}

TEST_F(StreamTest, HandlesMustBeKnown) {
  EXPECT_EQ(driver.call<CUstream>("cuStreamDestroy_v2", stream), CUDA_SUCCESS);
  EXPECT_EQ(launch(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(driver.call<CUstream>("cuStreamSynchronize", stream),
            CUDA_ERROR_INVALID_HANDLE);
}
