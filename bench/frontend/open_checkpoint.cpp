// Time and memory to open a checkpoint of many tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   bench-open-checkpoint write FOLDER [SHARDS]   makes one of 93,696 expert
//   tensors; its data is a hole in the file bench-open-checkpoint open FOLDER
//   opens it; run by itself, so that the peak is its own
#include "frontend/Checkpoint.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <vector>

using namespace moec;

namespace {

constexpr int layers = 61, experts = 512, hidden = 64, intermediate = 32;

struct Tensor {
  std::string name, shape;
  uint64_t bytes;
};

std::vector<Tensor> tensorsOfModel() {
  std::vector<Tensor> tensors;
  auto add = [&](const std::string &name, int rows, int cols) {
    tensors.push_back(
        {name, "[" + std::to_string(rows) + "," + std::to_string(cols) + "]",
         uint64_t(rows) * uint64_t(cols) * 2});
  };
  for (int layer = 0; layer < layers; ++layer) {
    std::string block = "model.layers." + std::to_string(layer) + ".";
    for (const char *matrix : {"q", "k", "v", "o"})
      add(block + "self_attn." + matrix + "_proj.weight", hidden, hidden);
    add(block + "mlp.gate.weight", experts, hidden);
    for (int expert = 0; expert < experts; ++expert) {
      std::string prefix =
          block + "mlp.experts." + std::to_string(expert) + ".";
      add(prefix + "gate_proj.weight", intermediate, hidden);
      add(prefix + "up_proj.weight", intermediate, hidden);
      add(prefix + "down_proj.weight", hidden, intermediate);
    }
  }
  return tensors;
}

void writeFile(const std::string &path, const Tensor *first, size_t count) {
  std::string header = "{";
  uint64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    const Tensor &tensor = first[i];
    header += (i == 0 ? "\"" : ",\"") + tensor.name +
              R"(":{"dtype":"BF16","shape":)" + tensor.shape +
              R"(,"data_offsets":[)" + std::to_string(offset) + "," +
              std::to_string(offset + tensor.bytes) + "]}";
    offset += tensor.bytes;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  char length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = char(header.size() >> (8 * i));
  std::ofstream(path, std::ios::binary).write(length, 8) << header;
  std::filesystem::resize_file(path, 8 + header.size() + offset);
}

int write(const std::string &folder, size_t shards) {
  std::filesystem::create_directories(folder);
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("model"))
      std::filesystem::remove(entry.path());
  std::ofstream(folder + "/config.json")
      << R"({"model_type": "qwen3_moe", "num_hidden_layers": )" << layers
      << R"(, "hidden_size": )" << hidden << R"(, "moe_intermediate_size": )"
      << intermediate << R"(, "num_experts": )" << experts
      << R"(, "num_experts_per_tok": 8, "norm_topk_prob": true})";
  std::vector<Tensor> tensors = tensorsOfModel();
  if (shards == 1) {
    writeFile(folder + "/model.safetensors", tensors.data(), tensors.size());
    return 0;
  }
  std::ofstream index(folder + "/model.safetensors.index.json");
  index << R"({"weight_map": {)";
  for (size_t shard = 0, first = 0; shard < shards; ++shard) {
    char name[40];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors",
                  shard + 1, shards);
    size_t last = tensors.size() * (shard + 1) / shards;
    writeFile(folder + "/" + name, &tensors[first], last - first);
    for (; first < last; ++first)
      index << (first == 0 ? "\"" : ", \"") << tensors[first].name << "\": \""
            << name << '"';
  }
  index << "}}";
  return 0;
}

double mebibytes(uint64_t bytes) { return double(bytes) / (1 << 20); }

uint64_t peakBytes() {
  struct rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return uint64_t(usage.ru_maxrss) * 1024;
}

/// Header bytes of the weight files, and bytes of the index.
uint64_t textBytes(const std::string &folder) {
  uint64_t total = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") {
      total += entry.file_size();
      continue;
    }
    unsigned char length[8] = {};
    std::ifstream(entry.path(), std::ios::binary)
        .read(reinterpret_cast<char *>(length), 8);
    for (int i = 7; i >= 0; --i)
      total += uint64_t(length[i]) << (8 * i);
  }
  return total;
}

int open(const std::string &folder) {
  uint64_t bytes = textBytes(folder);
  std::printf("%.1f MiB of headers, index and config\n", mebibytes(bytes));
  uint64_t before = peakBytes();
  auto begin = std::chrono::steady_clock::now();
  std::clock_t work = std::clock();
  auto checkpoint = frontend::Checkpoint::open(folder);
  work = std::clock() - work;
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  uint64_t growth = peakBytes() - before;
  if (!checkpoint) {
    std::fprintf(stderr, "error: %s\n", checkpoint.error().c_str());
    return 1;
  }
  std::printf("%s\n", checkpoint->description().c_str());
  std::printf(
      "%.3f s (%.3f s of the processor), %.1f MiB of memory, %.1f times "
      "what is read\n",
      time.count(), double(work) / CLOCKS_PER_SEC, mebibytes(growth),
      double(growth) / double(bytes));
  return 0;
}

} // namespace

int main(int count, char **arguments) {
  std::string command = count >= 3 ? arguments[1] : "";
  if (command == "write" && count <= 4)
    return write(arguments[2],
                 count == 4 ? size_t(std::atoi(arguments[3])) : 1);
  if (command == "open" && count == 3)
    return open(arguments[2]);
  std::fprintf(stderr, "usage: bench-open-checkpoint write FOLDER [SHARDS]\n"
                       "       bench-open-checkpoint open FOLDER\n");
  return 2;
}
