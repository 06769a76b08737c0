// Processes that an MPI launcher started as ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The library is loaded when it is asked for, and no header of it is needed:
// Open MPI has pointers for handles, MPICH and those that keep to its ABI have
// numbers, and what is called is alike. Blocks go by messages of their own, so
// that the rank that is missing has a name; a message that nobody asked for,
// the notice, says that a rank gave up.
#include "runtime/comm/MpiTransport.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

namespace moec::comm {
namespace {

using weights::Error;
using weights::Result;
using weights::Status;

// What mpi.h of both implementations has.
constexpr int success = 0, threadSerialized = 2, mostErrorText = 512;
/// Room for a status of either.
struct alignas(16) StatusRoom {
  char bytes[64];
};

/// A message's bytes are counted by an int.
constexpr int64_t mostPartBytes = int64_t(1) << 30;
/// Tags are channels, then these.
constexpr int noticeTag = channelCount, leaveTag = channelCount + 1;

/// Open MPI 3 to 5.
struct OpenMpi {
  using Handle = void *;
  static constexpr const char *name = "MPI (Open MPI)";
  static constexpr const char *files[] = {"libmpi.so.40", "libmpi.so"};
  static constexpr int anySource = -1;
  static constexpr const char *mark = "ompi_mpi_comm_world";

  static Handle find(void *library, const char *symbol) {
    return dlsym(library, symbol);
  }
  static Handle world(void *library) {
    return find(library, "ompi_mpi_comm_world");
  }
  static Handle byte(void *library) { return find(library, "ompi_mpi_byte"); }
  static Handle errorsReturn(void *library) {
    return find(library, "ompi_mpi_errors_return");
  }
};

/// MPICH 3.1 and later, and all that keep to its ABI.
struct Mpich {
  using Handle = int;
  static constexpr const char *name = "MPI (MPICH)";
  static constexpr const char *files[] = {"libmpich.so.12", "libmpi.so.12"};
  static constexpr int anySource = -2;
  static constexpr const char *mark = "MPI_Init";

  static Handle world(void *) { return 0x44000000; }
  static Handle byte(void *) { return 0x4c00010d; }
  static Handle errorsReturn(void *) { return 0x54000001; }
};

/// The functions that are called.
template <typename Handle> struct Functions {
  int (*Initialized)(int *);
  int (*Finalized)(int *);
  int (*Init_thread)(int *, char ***, int, int *);
  int (*Query_thread)(int *);
  int (*Finalize)();
  int (*Comm_dup)(Handle, Handle *);
  int (*Comm_set_errhandler)(Handle, Handle);
  int (*Comm_rank)(Handle, int *);
  int (*Comm_size)(Handle, int *);
  int (*Isend)(const void *, int, Handle, int, int, Handle, Handle *);
  int (*Irecv)(void *, int, Handle, int, int, Handle, Handle *);
  int (*Test)(Handle *, int *, StatusRoom *);
  int (*Get_count)(const StatusRoom *, Handle, int *);
  int (*Cancel)(Handle *);
  int (*Error_string)(int, char *, int *);

  /// The name of one that the library lacks, or null.
  const char *load(void *library) {
    const char *missing = nullptr;
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(
          dlsym(library, name));
      if (!function)
        missing = name;
    };
    find(Initialized, "MPI_Initialized");
    find(Finalized, "MPI_Finalized");
    find(Init_thread, "MPI_Init_thread");
    find(Query_thread, "MPI_Query_thread");
    find(Finalize, "MPI_Finalize");
    find(Comm_dup, "MPI_Comm_dup");
    find(Comm_set_errhandler, "MPI_Comm_set_errhandler");
    find(Comm_rank, "MPI_Comm_rank");
    find(Comm_size, "MPI_Comm_size");
    find(Isend, "MPI_Isend");
    find(Irecv, "MPI_Irecv");
    find(Test, "MPI_Test");
    find(Get_count, "MPI_Get_count");
    find(Cancel, "MPI_Cancel");
    find(Error_string, "MPI_Error_string");
    return missing;
  }
};

template <typename Mpi> class MpiTransport final : public Transport {
public:
  using Handle = typename Mpi::Handle;

  explicit MpiTransport(std::chrono::milliseconds deadline)
      : deadline(deadline) {}
  ~MpiTransport() override;

  Status open(void *library);

  int32_t rank() const override { return own; }
  int32_t ranks() const override { return count; }
  const char *name() const override { return Mpi::name; }

  Status start(int32_t channel, const moert_all_to_all &blocks) override;
  Result<bool> test(int32_t channel) override;
  void await(int32_t channel, Clock::time_point until) override;
  int32_t missing(int32_t channel) override;
  void cancel() override;
  void giveUp(const std::string &reason) override;

private:
  /// A message under way.
  struct Part {
    Handle request;
    int32_t peer;
    int bytes;
    bool isReceived;
  };
  struct Notice {
    int32_t rank;
    char reason[1020];
  };

  std::string textOf(int code);
  Status send(const char *from, int64_t bytes, int32_t peer, int tag,
              std::vector<Part> &parts);
  Status receive(char *to, int64_t bytes, int32_t peer, int tag,
                 std::vector<Part> &parts);
  /// Moves on; takes what has ended out of `parts`.
  Status progress(std::vector<Part> &parts);
  /// An error if another rank gave up.
  Status readNotice();
  /// Waits for all ranks, so that none ends MPI under another.
  bool leaveTogether();
  void drop(std::vector<Part> &parts);

  Functions<Handle> mpi = {};
  Handle byte = {}, communicator = {};
  int32_t own = 0, count = 1;
  std::chrono::milliseconds deadline;
  bool isOpen = false, hasInitialized = false, hasFailed = false;
  /// Calls of other threads, for giveUp, come one at a time.
  std::mutex mutex;
  std::array<std::vector<Part>, channelCount> channels;
  /// When something was started, or ended, for the last time.
  Clock::time_point lastEnd;
  Notice sentNotice = {}, notice = {};
  Handle noticeRequest = {};
  bool isListening = false;
};

template <typename Mpi> std::string MpiTransport<Mpi>::textOf(int code) {
  char text[2 * mostErrorText] = "";
  int length = 0;
  mpi.Error_string(code, text, &length);
  // MPICH says on further lines by which of its functions.
  std::string line(text, std::strcspn(text, "\n"));
  return line.substr(0, line.find(", error stack:"));
}

template <typename Mpi> Status MpiTransport<Mpi>::open(void *library) {
  if (const char *missing = mpi.load(library))
    return Error{std::string(Mpi::name) + ": the library has no " + missing};
  int isUp = 0, isDown = 0, level = 0;
  mpi.Initialized(&isUp);
  mpi.Finalized(&isDown);
  if (isDown)
    return Error{std::string(Mpi::name) +
                 ": expected MPI that has not ended in this process"};
  int code = isUp ? mpi.Query_thread(&level)
                  : mpi.Init_thread(nullptr, nullptr, threadSerialized, &level);
  if (code != success)
    return Error{std::string(Mpi::name) + ": cannot start: " + textOf(code)};
  hasInitialized = !isUp;
  // Some errors of MPICH's MPI_Test are of no communicator but the world, and
  // fatal unless it is told otherwise; a host's world is the host's affair.
  if (hasInitialized)
    mpi.Comm_set_errhandler(Mpi::world(library), Mpi::errorsReturn(library));
  if (level < threadSerialized)
    return Error{std::string(Mpi::name) + ": expected thread level " +
                 std::to_string(threadSerialized) + ", found " +
                 std::to_string(level)};
  byte = Mpi::byte(library);
  if (mpi.Comm_dup(Mpi::world(library), &communicator) != success ||
      mpi.Comm_set_errhandler(communicator, Mpi::errorsReturn(library)) !=
          success ||
      mpi.Comm_rank(communicator, &own) != success ||
      mpi.Comm_size(communicator, &count) != success)
    return Error{std::string(Mpi::name) + ": cannot join the other ranks"};
  isListening = mpi.Irecv(&notice, sizeof notice, byte, Mpi::anySource,
                          noticeTag, communicator, &noticeRequest) == success;
  if (!isListening)
    return Error{std::string(Mpi::name) + ": cannot listen to other ranks"};
  isOpen = true;
  return weights::success();
}

template <typename Mpi>
Status MpiTransport<Mpi>::send(const char *from, int64_t bytes, int32_t peer,
                               int tag, std::vector<Part> &parts) {
  do {
    int part = int(std::min(bytes, mostPartBytes));
    Handle request = {};
    if (int code =
            mpi.Isend(from, part, byte, peer, tag, communicator, &request))
      return Error{"cannot send to rank " + std::to_string(peer) + ": " +
                   textOf(code)};
    parts.push_back({request, peer, part, false});
    from += part;
    bytes -= part;
  } while (bytes > 0);
  return weights::success();
}

template <typename Mpi>
Status MpiTransport<Mpi>::receive(char *to, int64_t bytes, int32_t peer,
                                  int tag, std::vector<Part> &parts) {
  do {
    int part = int(std::min(bytes, mostPartBytes));
    Handle request = {};
    if (int code = mpi.Irecv(to, part, byte, peer, tag, communicator, &request))
      return Error{"cannot receive from rank " + std::to_string(peer) + ": " +
                   textOf(code)};
    parts.push_back({request, peer, part, true});
    to += part;
    bytes -= part;
  } while (bytes > 0);
  return weights::success();
}

template <typename Mpi>
Status MpiTransport<Mpi>::start(int32_t channel,
                                const moert_all_to_all &blocks) {
  std::lock_guard lock(mutex);
  std::vector<Part> &parts = channels[size_t(channel)];
  parts.clear();
  lastEnd = Clock::now();
  const char *sent = static_cast<const char *>(blocks.send);
  char *received = static_cast<char *>(blocks.receive);
  if (blocks.send_bytes[own] != blocks.receive_bytes[own])
    return Error{"rank " + std::to_string(own) + " sends itself " +
                 std::to_string(blocks.send_bytes[own]) + " bytes, expected " +
                 std::to_string(blocks.receive_bytes[own])};
  // From the next rank on, so that not all send to one.
  for (int32_t i = 1; i < count; ++i) {
    int32_t from = (own + count - i) % count;
    if (Status begun =
            receive(received + blocks.receive_offsets[from],
                    blocks.receive_bytes[from], from, channel, parts);
        !begun)
      return begun;
  }
  for (int32_t i = 1; i < count; ++i) {
    int32_t to = (own + i) % count;
    if (Status begun = send(sent + blocks.send_offsets[to],
                            blocks.send_bytes[to], to, channel, parts);
        !begun)
      return begun;
  }
  if (blocks.send_bytes[own] > 0)
    std::memcpy(received + blocks.receive_offsets[own],
                sent + blocks.send_offsets[own],
                size_t(blocks.send_bytes[own]));
  return weights::success();
}

template <typename Mpi>
Status MpiTransport<Mpi>::progress(std::vector<Part> &parts) {
  for (size_t i = 0; i < parts.size();) {
    Part &part = parts[i];
    int hasEnded = 0, bytes = 0;
    StatusRoom status = {};
    if (int code = mpi.Test(&part.request, &hasEnded, &status)) {
      std::string peer = std::to_string(part.peer);
      parts.erase(parts.begin() + ptrdiff_t(i));
      return Error{"a message of rank " + peer + ": " + textOf(code)};
    }
    if (!hasEnded) {
      ++i;
      continue;
    }
    lastEnd = Clock::now();
    Part ended = part;
    part = parts.back();
    parts.pop_back();
    if (ended.isReceived && (mpi.Get_count(&status, byte, &bytes) != success ||
                             bytes != ended.bytes))
      return Error{"rank " + std::to_string(ended.peer) + " sends " +
                   std::to_string(bytes) + " bytes to rank " +
                   std::to_string(own) + ", which expects " +
                   std::to_string(ended.bytes)};
  }
  return weights::success();
}

template <typename Mpi> Status MpiTransport<Mpi>::readNotice() {
  int hasCome = 0;
  StatusRoom status = {};
  if (isListening && mpi.Test(&noticeRequest, &hasCome, &status) == success &&
      hasCome)
    isListening = false;
  if (!hasCome)
    return weights::success();
  notice.reason[sizeof notice.reason - 1] = '\0';
  hasFailed = true;
  return Error{"rank " + std::to_string(notice.rank) +
               " gave up: " + notice.reason};
}

template <typename Mpi> Result<bool> MpiTransport<Mpi>::test(int32_t channel) {
  std::lock_guard lock(mutex);
  std::vector<Part> &parts = channels[size_t(channel)];
  Status moved = progress(parts);
  // After what has come: who gave up may have taken back what it sent. It also
  // knows better what is wrong than a message that broke off.
  if (Status heard = readNotice(); !heard)
    return Error{heard.error()};
  if (!moved)
    return Error{moved.error()};
  return parts.empty();
}

template <typename Mpi>
void MpiTransport<Mpi>::await(int32_t, Clock::time_point) {
  // Nothing wakes a thread that waits for MPI: it asks again, and moves large
  // messages on by that; only where nothing ends for long it sleeps meanwhile.
  constexpr std::chrono::milliseconds patience(20);
  constexpr std::chrono::microseconds nap(100);
  if (Clock::now() - lastEnd < patience)
    sched_yield();
  else
    std::this_thread::sleep_for(nap);
}

template <typename Mpi> int32_t MpiTransport<Mpi>::missing(int32_t channel) {
  std::lock_guard lock(mutex);
  int32_t missing = -1;
  // A block that a rank does not take is as much a sign as one that it does not
  // send.
  for (const Part &part : channels[size_t(channel)])
    if (missing < 0 || part.peer < missing)
      missing = part.peer;
  return missing;
}

template <typename Mpi> void MpiTransport<Mpi>::drop(std::vector<Part> &parts) {
  // A receive that is cancelled ends at once; what was sent is read, at most.
  for (Part &part : parts) {
    if (!part.isReceived)
      continue;
    mpi.Cancel(&part.request);
    int hasEnded = 0;
    StatusRoom status = {};
    for (int i = 0; i < 1000 && !hasEnded; ++i)
      if (mpi.Test(&part.request, &hasEnded, &status) != success)
        break;
  }
  parts.clear();
}

template <typename Mpi> void MpiTransport<Mpi>::cancel() {
  std::lock_guard lock(mutex);
  hasFailed = true;
  for (std::vector<Part> &parts : channels)
    drop(parts);
}

template <typename Mpi>
void MpiTransport<Mpi>::giveUp(const std::string &reason) {
  std::lock_guard lock(mutex);
  // Who was told does not tell: the first one told all.
  if (hasFailed)
    return;
  hasFailed = true;
  sentNotice.rank = own;
  std::strncpy(sentNotice.reason, reason.c_str(), sizeof sentNotice.reason - 1);
  std::vector<Part> parts;
  for (int32_t peer = 0; peer < count; ++peer)
    if (peer != own)
      (void)send(reinterpret_cast<const char *>(&sentNotice), sizeof sentNotice,
                 peer, noticeTag, parts);
  // So that it is out even if this process ends.
  for (int i = 0; i < 100 && !parts.empty(); ++i)
    (void)progress(parts);
}

template <typename Mpi> bool MpiTransport<Mpi>::leaveTogether() {
  std::vector<Part> parts;
  char nothing = 0;
  for (int32_t peer = 0; peer < count; ++peer)
    if (peer != own && (!receive(&nothing, 0, peer, leaveTag, parts) ||
                        !send(&nothing, 0, peer, leaveTag, parts)))
      return false;
  Clock::time_point until = Clock::now() + deadline;
  while (!parts.empty()) {
    if (!progress(parts) || !readNotice() || Clock::now() >= until)
      return false;
    await(ownChannel, until);
  }
  return true;
}

template <typename Mpi> MpiTransport<Mpi>::~MpiTransport() {
  if (!isOpen)
    return;
  // MPI_Finalize waits for all ranks, for ever: after a failure it is left to
  // the launcher to end what is left.
  if (hasFailed || !leaveTogether())
    return;
  if (isListening) {
    std::vector<Part> last = {{noticeRequest, 0, 0, true}};
    drop(last);
  }
  if (hasInitialized)
    mpi.Finalize();
}

/// The library of an implementation: the process's own, or from a file.
template <typename Mpi>
Result<std::unique_ptr<Transport>> join(std::chrono::milliseconds deadline) {
  // Open MPI's own plug-ins look for its symbols among the process's.
  constexpr int flags = RTLD_NOW | RTLD_GLOBAL;
  void *library =
      dlsym(RTLD_DEFAULT, Mpi::mark) ? dlopen(nullptr, flags) : nullptr;
  std::string reasons;
  for (const char *file : Mpi::files) {
    if (library)
      break;
    library = dlopen(file, flags);
    if (!library)
      reasons += std::string(reasons.empty() ? "" : "; ") + dlerror();
  }
  if (!library)
    return Error{std::string(Mpi::name) + ": cannot load: " + reasons};
  auto transport = std::make_unique<MpiTransport<Mpi>>(deadline);
  if (Status opened = transport->open(library); !opened)
    return Error{opened.error()};
  return std::unique_ptr<Transport>(std::move(transport));
}

} // namespace

MpiKind
chooseMpi(const std::function<const char *(const char *name)> &environment) {
  if (environment("OMPI_COMM_WORLD_SIZE"))
    return MpiKind::OpenMpi;
  // What Hydra, and launchers that speak its protocol, set.
  if (environment("PMI_SIZE") || environment("PMI_FD"))
    return MpiKind::Mpich;
  return MpiKind::OpenMpi;
}

Result<std::unique_ptr<Transport>> openMpi(std::chrono::milliseconds deadline) {
  MpiKind kind = chooseMpi([](const char *name) { return std::getenv(name); });
  // Whose library a host has loaded is whose ranks it has.
  if (dlsym(RTLD_DEFAULT, OpenMpi::mark))
    kind = MpiKind::OpenMpi;
  else if (dlsym(RTLD_DEFAULT, Mpich::mark))
    kind = MpiKind::Mpich;
  return kind == MpiKind::OpenMpi ? join<OpenMpi>(deadline)
                                  : join<Mpich>(deadline);
}

} // namespace moec::comm
