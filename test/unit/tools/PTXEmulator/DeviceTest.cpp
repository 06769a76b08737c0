// Tests of the emulated device: settings from the environment, captures.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Device.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include <cstdlib>
#include <fstream>

using namespace moec::ptx;

namespace {

/// A variable of the environment for the time of a test.
class Setting {
public:
  Setting(const char *name, const char *value) : name(name) {
    setenv(name, value, 1);
  }
  ~Setting() { unsetenv(name); }

private:
  const char *name;
};

} // namespace

TEST(Device, SettingsComeFromTheEnvironment) {
  Setting seed("MOEC_EMULATOR_SEED", "7");
  Setting capability("MOEC_EMULATOR_CAPABILITY", "8.0");
  Setting uninitialized("MOEC_EMULATOR_UNINITIALIZED", "0");
  DeviceSettings settings = DeviceSettings::fromEnvironment();
  EXPECT_EQ(settings.machine.seed, 7u);
  EXPECT_EQ(settings.capabilityMajor, 8);
  EXPECT_FALSE(settings.machine.reportUninitialized);
  EXPECT_EQ(settings.driverVersion, 13000);
  EXPECT_EQ(Device(settings).maxSharedOptIn(), 163u * 1024);
}

TEST(DeviceDeathTest, WrongSettingsAreRefused) {
  Setting seed("MOEC_EMULATOR_SEED", "many");
  EXPECT_EXIT(DeviceSettings::fromEnvironment(), testing::ExitedWithCode(2),
              "expected MOEC_EMULATOR_SEED to be a number, found 'many'");
}

TEST(Device, FaultsStickAndAreReported) {
  moec::test::TemporaryFolder folder;
  DeviceSettings settings;
  settings.memoryBytes = 1 << 20;
  settings.report = folder.file("report");
  Device device(settings);
  auto image = Image::load(device.memory, laneKernel("trap;"));
  ASSERT_TRUE(bool(image));
  const Program *program = (*image)->findProgram("kernel");
  Grid grid{program, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, 0, {}};
  grid.parameters.resize(program->parameterBytes);
  EXPECT_EQ(device.stickyError(), CUDA_SUCCESS);
  testing::internal::CaptureStderr();
  device.launch(grid, false);
  EXPECT_EQ(device.stickyError(), CUDA_SUCCESS);
  device.flush();
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(device.stickyError(), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_TRUE(has(said, "the thread trapped")) << said;
  std::ifstream report(settings.report);
  std::string line;
  std::getline(report, line);
  EXPECT_TRUE(has(line, "the thread trapped")) << line;
}
