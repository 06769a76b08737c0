// PTX text as a kernel that tests run on buffers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_KERNEL_H
#define MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_KERNEL_H

#include "tools/PTXEmulator/Image.h"
#include "tools/PTXEmulator/Machine.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace moec::ptx {

/// The head of every module.
inline const std::string moduleHead =
    ".version 8.0\n.target sm_90a\n.address_size 64\n";

/// Device memory, and a module with the entry `kernel`.
class Kernel {
public:
  explicit Kernel(const std::string &text) : memory(uint64_t(1) << 28) {
    weights::Result<std::unique_ptr<Image>> loaded = Image::load(memory, text);
    if (loaded)
      image = std::move(*loaded);
    else
      error = loaded.error();
    EXPECT_EQ(error, "");
  }

  template <typename T> uint64_t upload(const std::vector<T> &values) {
    uint64_t address = memory.allocate(values.size() * sizeof(T));
    std::memcpy(memory.backing(address), values.data(),
                values.size() * sizeof(T));
    return address;
  }

  template <typename T>
  std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    std::memcpy(values.data(), memory.backing(address), count * sizeof(T));
    return values;
  }

  /// Runs the kernel; returns what was wrong, or nothing.
  template <typename... Arguments>
  std::optional<Fault> run(Extent blocks, Extent threads,
                           uint32_t dynamicShared, Arguments... arguments) {
    const Program *program = image ? image->findProgram("kernel") : nullptr;
    if (!program)
      return Fault{FaultKind::LaunchFailed, "no kernel"};
    Grid grid{program, blocks, threads, cluster, dynamicShared, {}};
    grid.parameters.resize(program->parameterBytes);
    [[maybe_unused]] size_t index = 0;
    (setParameter(grid, *program, index, arguments), ...);
    weights::Status status = checkGrid(grid);
    if (!status)
      return Fault{FaultKind::LaunchFailed, status.error()};
    return runGrids(memory, settings, {&grid, 1}, &steps);
  }

  DeviceMemory memory;
  Settings settings;
  Extent cluster = {1, 1, 1};
  std::unique_ptr<Image> image;
  std::string error;
  uint64_t steps = 0;

private:
  template <typename T>
  static void setParameter(Grid &grid, const Program &program, size_t &index,
                           T argument) {
    ASSERT_LT(index, program.parameters.size());
    ASSERT_EQ(program.parameters[index].bytes, sizeof argument);
    std::memcpy(&grid.parameters[program.parameters[index++].offset], &argument,
                sizeof argument);
  }
};

/// A kernel of one warp that runs `body` in each lane. %rd1 is the lane's place
/// in a buffer of 8 bytes a lane that holds its inputs and takes its result;
/// %p, %rs, %r, %rd and %q registers 0 to 31 are declared.
inline std::string laneKernel(const std::string &body) {
  return moduleHead + R"(
.visible .entry kernel(.param .u64 buffer)
{
  .reg .pred %p<32>;
  .reg .b16 %rs<32>;
  .reg .b32 %r<64>;
  .reg .b64 %rd<64>;
  .reg .b128 %q<8>;
  ld.param.u64 %rd0, [buffer];
  cvta.to.global.u64 %rd0, %rd0;
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %rd1, %r0, 8;
  add.s64 %rd1, %rd0, %rd1;
)" + body +
         R"(
  ret;
}
)";
}

/// Runs laneKernel(body) on the inputs, one for each of up to 32 lanes.
template <typename T>
std::vector<T> runLanes(const std::string &body, const std::vector<T> &inputs) {
  static_assert(sizeof(T) == 8);
  Kernel kernel(laneKernel(body));
  uint64_t buffer = kernel.upload(inputs);
  std::optional<Fault> fault =
      kernel.run({1, 1, 1}, {uint32_t(inputs.size()), 1, 1}, 0, buffer);
  EXPECT_EQ(fault ? fault->message : "", "");
  return kernel.download<T>(buffer, inputs.size());
}

/// What one lane computes: `instructions` work on %r1 to %r3 or %rd2 to %rd4,
/// which hold a, b and c, and leave the result in %r4 or %rd5. 16-bit registers
/// %rs1 to %rs3 hold the lower halves; their result is %rs4.
inline uint64_t compute(const std::string &instructions, const char *result,
                        uint64_t a, uint64_t b, uint64_t c) {
  std::string body = "mov.b64 %rd2, " + std::to_string(a) +
                     ";\nmov.b64 %rd3, " + std::to_string(b) +
                     ";\nmov.b64 %rd4, " + std::to_string(c) +
                     ";\ncvt.u32.u64 %r1, %rd2;\ncvt.u32.u64 %r2, %rd3;\n"
                     "cvt.u32.u64 %r3, %rd4;\ncvt.u16.u64 %rs1, %rd2;\n"
                     "cvt.u16.u64 %rs2, %rd3;\ncvt.u16.u64 %rs3, %rd4;\n"
                     "setp.ne.s64 %p2, %rd2, 0;\nsetp.ne.s64 %p3, %rd3, 0;\n" +
                     instructions + "\nst.global." + result + ";\n";
  return runLanes<uint64_t>(body, {0})[0];
}
inline uint32_t compute32(const std::string &instructions, uint32_t a,
                          uint32_t b = 0, uint32_t c = 0) {
  return uint32_t(compute(instructions, "b32 [%rd1], %r4", a, b, c));
}
inline uint64_t compute64(const std::string &instructions, uint64_t a,
                          uint64_t b = 0, uint64_t c = 0) {
  return compute(instructions, "b64 [%rd1], %rd5", a, b, c);
}
inline uint16_t compute16(const std::string &instructions, uint16_t a,
                          uint16_t b = 0, uint16_t c = 0) {
  return uint16_t(compute(instructions, "b16 [%rd1], %rs4", a, b, c));
}
/// The predicate that `instructions` leave in %p4.
inline bool computeBool(const std::string &instructions, uint64_t a,
                        uint64_t b = 0, uint64_t c = 0) {
  return compute32(instructions + "\nselp.b32 %r4, 1, 0, %p4;", uint32_t(a),
                   uint32_t(b), uint32_t(c)) != 0;
}
inline uint32_t bitsOfFloat(float value) {
  return std::bit_cast<uint32_t>(value);
}
inline float computeFloat(const std::string &instructions, float a, float b = 0,
                          float c = 0) {
  return std::bit_cast<float>(
      compute32(instructions, bitsOfFloat(a), bitsOfFloat(b), bitsOfFloat(c)));
}

/// What loading a kernel of these instructions says.
inline std::string loadError(const std::string &instructions) {
  DeviceMemory memory(1 << 20);
  return Image::load(memory, laneKernel(instructions)).error();
}

/// The message of a fault, or nothing.
inline std::string messageOf(const std::optional<Fault> &fault) {
  return fault ? fault->message : "";
}

/// Whether a text has a part.
inline bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace moec::ptx

#endif // MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_KERNEL_H
