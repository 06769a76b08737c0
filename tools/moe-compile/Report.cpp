// Times and remarks of a compilation as JSON.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-compile/Report.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"
#include "tools/moe-compile/Output.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace moec;

namespace {
/// Takes down the remarks of a context.
class Listener : public mlir::remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Listener(std::vector<Report::Remark> &remarks) : remarks(remarks) {}

  void streamOptimizationRemark(
      const mlir::remark::detail::Remark &remark) override {
    std::string location;
    llvm::raw_string_ostream os(location);
    if (auto file =
            remark.getLocation()->findInstanceOf<mlir::FileLineColLoc>())
      os << file.getFilename().getValue() << ":" << file.getLine() << ":"
         << file.getColumn();
    std::string message;
    for (const mlir::remark::detail::Remark::Arg &part : remark.getArgs())
      message += (message.empty() ? "" : ", ") +
                 (part.key == "Remark" ? "" : part.key + " ") + part.val;
    remarks.push_back({remark.getRemarkTypeString().lower(),
                       remark.getRemarkName().str(), location, message});
  }

private:
  std::vector<Report::Remark> &remarks;
};
} // namespace

llvm::LogicalResult Report::listen(mlir::MLIRContext &context) {
  mlir::remark::RemarkCategories everything;
  everything.all = everything.passed = everything.missed = everything.analysis =
      everything.failed = ".*";
  return mlir::remark::enableOptimizationRemarks(
      context, std::make_unique<Listener>(remarks),
      std::make_unique<mlir::remark::RemarkEmittingPolicyAll>(), everything);
}

void Report::endStage(llvm::StringRef name) {
  Clock::time_point now = Clock::now();
  stages.push_back(
      {name.str(),
       std::chrono::duration<double, std::milli>(now - last).count()});
  last = now;
}

llvm::LogicalResult Report::write(llvm::StringRef path) const {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error, llvm::sys::fs::OF_Text);
  if (error) {
    llvm::errs() << "moe-compile: cannot write the report '" << path
                 << "': " << error.message() << "\n";
    return llvm::failure();
  }
  llvm::json::OStream json(os, /*IndentSize=*/1);
  json.object([&] {
    json.attribute("moec_report", "0.1");
    json.attributeArray("stages", [&] {
      for (const Stage &stage : stages)
        json.object([&] {
          json.attribute("name", stage.name);
          json.attribute("milliseconds",
                         std::round(stage.milliseconds * 1000) / 1000);
        });
    });
    json.attributeArray("remarks", [&] {
      for (const Remark &remark : remarks)
        json.object([&] {
          json.attribute("kind", remark.kind);
          json.attribute("name", remark.name);
          json.attribute("location", remark.location);
          json.attribute("message", remark.message);
        });
    });
  });
  os << "\n";
  if (std::error_code code = finishOutput(os)) {
    llvm::errs() << "moe-compile: cannot write the report '" << path
                 << "': " << code.message() << "\n";
    return llvm::failure();
  }
  return llvm::success();
}
