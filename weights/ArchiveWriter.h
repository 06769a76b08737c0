// Weight archives as they are written: record by record, and resumed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ARCHIVEWRITER_H
#define MOEC_WEIGHTS_ARCHIVEWRITER_H

#include "weights/ArchiveHeader.h"
#include "weights/Result.h"
#include "weights/StoredTensor.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>

namespace moec::weights {

/// The system calls that can fail while an archive is written. Tests put
/// failures in; nobody else needs them.
struct FileCalls {
  std::function<int(int, off_t)> truncate;
  std::function<ssize_t(int, const void *, size_t, off_t)> write;
  std::function<int(int)> sync;
  std::function<int(const char *, const char *)> rename;

  /// Those of the system.
  static FileCalls system();
};

/// Writes an archive to PATH.partial, which takes the name PATH at the end. The
/// journal PATH.partial.journal says which records are complete: who opens the
/// same plan again goes on behind them.
class ArchiveWriter {
public:
  /// `plan` says everything but places and hashes. Complete records of an
  /// earlier run of the same plan are kept after their hashes were checked;
  /// what is left of another plan is not.
  static Result<ArchiveWriter> open(const std::string &path, ArchiveHeader plan,
                                    FileCalls calls = FileCalls::system());

  ArchiveWriter(ArchiveWriter &&) noexcept;
  ArchiveWriter &operator=(ArchiveWriter &&) noexcept;
  /// Without finish(): complete records stay for the next run; if there is none
  /// nothing stays.
  ~ArchiveWriter();

  /// The plan with its places; hashes of records that are complete.
  const ArchiveHeader &header() const;

  /// Whether a record, by its place in the plan, is complete.
  bool isWritten(size_t record) const;

  /// Writes the record that has this place in the plan: one entry for each of
  /// its tensors that is not a splat. Threads may write different records. A
  /// record that is complete must come with the same bytes again.
  Status write(size_t record, std::span<const StoredTensorView> tensors);

  /// All records are written: header, to disk, and under the name. A record of
  /// splats alone counts as written.
  Status finish();

  /// Gives up: removes what was written, complete or not.
  void discard();

private:
  struct State;
  explicit ArchiveWriter(std::unique_ptr<State> state);

  std::unique_ptr<State> state;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ARCHIVEWRITER_H
