// PTX as machine code, by CUDA's assembler.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/Assemble.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace {
/// A file that is gone when this is, or when a signal ends the program.
struct ScratchFile {
  explicit ScratchFile(StringRef suffix) {
    error = llvm::sys::fs::createTemporaryFile("moec", suffix, path);
    if (!error)
      llvm::sys::RemoveFileOnSignal(path);
  }
  ~ScratchFile() {
    if (error)
      return;
    llvm::sys::fs::remove(path);
    llvm::sys::DontRemoveFileOnSignal(path);
  }

  void write(StringRef content) {
    if (error)
      return;
    llvm::raw_fd_ostream os(path, error);
    os << content;
    os.close();
    if (os.has_error())
      error = os.error();
    os.clear_error();
  }

  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : std::string();
  }

  llvm::SmallString<64> path;
  std::error_code error;
};
} // namespace

FailureOr<std::string> moec::lowering::assemblePTX(Location loc,
                                                   StringRef ptxas,
                                                   StringRef target,
                                                   StringRef ptx) {
  ScratchFile source("ptx"), cubin("cubin"), log("log");
  source.write(ptx);
  for (ScratchFile *file : {&source, &cubin, &log})
    if (file->error)
      return emitError(loc, "cannot write a temporary file for ptxas: ")
             << file->error.message();
  std::string architecture = ("-arch=" + target).str(), message;
  StringRef arguments[] = {ptxas, architecture, source.path, "-o", cubin.path};
  int status = llvm::sys::ExecuteAndWait(
      ptxas, arguments, /*Env=*/std::nullopt,
      /*Redirects=*/{StringRef(), StringRef(log.path), StringRef(log.path)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  std::string code = cubin.read();
  if (status == 0 && !code.empty())
    return code;
  message += StringRef(log.read()).rtrim();
  return emitError(loc, "'")
         << ptxas << "' failed with status " << status << " on the kernels for "
         << target << ": " << message;
}
