// Tests of family files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Family.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace moec::frontend;
using moec::test::TemporaryFolder;
using moec::weights::JsonValue;
using moec::weights::parseJson;
using moec::weights::Result;

namespace {

/// A family with everything the format has.
const std::string complete = R"({
  "format": 1,
  "family": "made_up",
  "description": ["Two", "lines."],
  "model_types": ["made_up", "made_up_too"],
  "architectures": "MadeUpForCausalLM",
  "config": {
    "layers": {"key": "n"}, "hidden": 8, "intermediate": {"key": ["f", "g"], "default": 4},
    "experts": 4, "choices": 2, "activation": "silu", "shared_intermediate": 6
  },
  "moe_layers": {"step": {"key": "step"}, "dense": [0]},
  "router": {"score": "sigmoid", "normalise": true, "scale": 2.5},
  "layouts": [{
    "name": "all", "block": "l.{layer}.",
    "tensors": [
      {"name": "r", "axes": ["hidden", "experts"], "holds": ["router"]},
      {"name": "gu", "axes": ["experts", "hidden", "intermediate"], "holds": ["up", "gate"], "split": "interleaved"},
      {"name": "e.{expert}.d", "axes": ["hidden", "intermediate"], "holds": ["down"]},
      {"name": "s.r", "axes": ["one", "hidden"], "holds": ["shared.router"]},
      {"name": "s.gu", "axes": ["shared_intermediate", "hidden"], "holds": ["shared.gate", "shared.up"]},
      {"name": "s.d", "axes": ["hidden", "shared_intermediate"], "holds": ["shared.down"]}
    ]
  }]
})";

/// The complete family with one text in place of another.
std::string with(const std::string &from, const std::string &to) {
  std::string text = complete;
  size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return text.replace(place, from.size(), to);
}

std::string refusal(const std::string &text) {
  Result<Family> family = parseFamily("f.json", text);
  EXPECT_FALSE(family);
  return family.error();
}

TEST(Family, readsEverything) {
  Result<Family> family = parseFamily("f.json", complete);
  ASSERT_TRUE(family) << family.error();
  EXPECT_EQ(family->name, "made_up");
  EXPECT_EQ(family->description, "Two lines.");
  EXPECT_EQ(family->modelTypes,
            (std::vector<std::string>{"made_up", "made_up_too"}));
  EXPECT_EQ(family->architectures,
            std::vector<std::string>{"MadeUpForCausalLM"});
  EXPECT_EQ(family->layers.keys, std::vector<std::string>{"n"});
  EXPECT_FALSE(family->layers.otherwise);
  EXPECT_TRUE(family->hidden.keys.empty());
  EXPECT_EQ(family->hidden.otherwise->integer, 8);
  EXPECT_EQ(family->intermediate.keys, (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(family->intermediate.otherwise->integer, 4);
  EXPECT_EQ(family->sharedIntermediate->otherwise->integer, 6);
  EXPECT_EQ(family->step.keys, std::vector<std::string>{"step"});
  EXPECT_EQ(family->dense.otherwise->items.size(), 1u);
  EXPECT_EQ(family->score, RouterScore::Sigmoid);
  EXPECT_TRUE(family->normalise.otherwise->boolean);
  EXPECT_EQ(family->scale.otherwise->real, 2.5);
  ASSERT_EQ(family->layouts.size(), 1u);
  const FamilyLayout &layout = family->layouts[0];
  EXPECT_EQ(layout.name, "all");
  EXPECT_EQ(layout.block.name(3, 0), "l.3.");
  ASSERT_EQ(layout.tensors.size(), 6u);
  EXPECT_EQ(layout.tensors[1].name.name(3, 0), "l.3.gu");
  EXPECT_EQ(layout.tensors[1].holds, (std::vector{Role::Up, Role::Gate}));
  EXPECT_EQ(layout.tensors[1].split, Split::Interleaved);
  EXPECT_EQ(layout.tensors[4].split, Split::Blocks);
  EXPECT_EQ(layout.tensors[2].name.name(3, 5), "l.3.e.5.d");
  EXPECT_EQ(layout.tensors[3].axes, (std::vector{Axis::One, Axis::Hidden}));
}

TEST(Family, namesRoles) {
  EXPECT_EQ(roleName(Role::Router), "router");
  EXPECT_EQ(roleName(Role::Down), "down");
  EXPECT_EQ(roleName(Role::SharedRouter), "shared.router");
  EXPECT_EQ(roleName(Role::SharedDown), "shared.down");
  EXPECT_EQ(matrixAxes(Role::SharedRouter), std::pair(Axis::Hidden, Axis::One));
}

TEST(Family, refusesWhatIsNotTheFormat) {
  EXPECT_EQ(refusal("[]"), "f.json: expected an object, found an array of 0");
  EXPECT_EQ(refusal("{"), "f.json: expected JSON, found at byte 1: Missing a "
                          "name for object member.");
  EXPECT_EQ(refusal(R"({"format": 1})"),
            "f.json: expected the key 'family', found only format");
  EXPECT_EQ(refusal(with("\"format\"", "\"fromat\"")),
            "f.json: expected only the keys format, family, description, "
            "model_types, architectures, config, moe_layers, router, layouts, "
            "found 'fromat'");
  EXPECT_EQ(refusal(with("\"format\": 1", "\"format\": 2")),
            "f.json: format: expected 1, found 2");
  EXPECT_EQ(refusal(with("\"made_up\"", "3")),
            "f.json: family: expected a text, found 3");
  EXPECT_EQ(refusal(with("\"made_up\"", "\"\"")),
            "f.json: family: expected a text, found the string ''");
  EXPECT_EQ(refusal(with(R"(["made_up", "made_up_too"])", "[]")),
            "f.json: model_types: expected a text or an array of them, found "
            "an array of 0");
  EXPECT_EQ(refusal(with(R"("MadeUpForCausalLM")", "[true]")),
            "f.json: architectures: expected a text, found true");
  EXPECT_EQ(refusal(with(R"(["Two", "lines."])", "{}")),
            "f.json: description: expected a text or an array of them, found "
            "an object of 0");
  EXPECT_EQ(refusal(with(R"("hidden": 8)", R"("width": 8)")),
            "f.json: config: expected only the keys layers, hidden, "
            "intermediate, experts, choices, activation, shared_intermediate, "
            "found 'width'");
  EXPECT_EQ(refusal(with(R"({"key": "n"})", R"({"keys": "n"})")),
            "f.json: config.layers: expected only the keys key, default, found "
            "'keys'");
  EXPECT_EQ(refusal(with(R"({"key": "n"})", R"({"key": 1})")),
            "f.json: config.layers.key: expected a text or an array of them, "
            "found 1");
  EXPECT_EQ(refusal(with(R"("dense": [0])", R"("sparse": [0])")),
            "f.json: moe_layers: expected only the keys step, dense, found "
            "'sparse'");
  EXPECT_EQ(refusal(with(R"({"key": "step"})", R"({"default": 1})")),
            "f.json: moe_layers.step: expected the key 'key', found only "
            "default");
  EXPECT_EQ(refusal(with(R"("sigmoid")", R"("sqrt")")),
            "f.json: router.score: expected one of softmax, sigmoid, found the "
            "string 'sqrt'");
  EXPECT_EQ(refusal(with(R"(, "scale": 2.5)", "")),
            "f.json: router: expected the key 'scale', found only score, "
            "normalise");
}

TEST(Family, refusesLayoutsThatDoNotHold) {
  std::string all = complete.substr(complete.find("[{"));
  all.pop_back();
  EXPECT_EQ(refusal(with(all, "[]")),
            "f.json: layouts: expected an array of objects, found an array of "
            "0");
  EXPECT_EQ(refusal(with("l.{layer}.", "l.{expert}.")),
            "f.json: layouts[0].block: expected {layer} and not {expert} in "
            "it, found 'l.{expert}.'");
  EXPECT_EQ(refusal(with("l.{layer}.", "l.{layer}{")),
            "f.json: layouts[0].block: expected no braces but {layer} and "
            "{expert} in a name, found 'l.{layer}{'");
  EXPECT_EQ(refusal(with("e.{expert}.d", "e.{layer}.d")),
            "f.json: layouts[0].tensors[2].name: expected each placeholder of "
            "a name once, found 'l.{layer}.e.{layer}.d'");
  EXPECT_EQ(refusal(with(R"("name": "r")", R"("name": "r.{expert}")")),
            "f.json: layouts[0].tensors[0].name: expected no {expert} in the "
            "name of what holds router, found 'l.{layer}.r.{expert}'");
  std::string tensors = all.substr(all.find("\"tensors\": ") + 11);
  EXPECT_EQ(refusal(with(tensors, "{} }]")),
            "f.json: layouts[0].tensors: expected an array of objects, found "
            "an object of 0");
  EXPECT_EQ(refusal(with(R"(["router"])", R"("router")")),
            "f.json: layouts[0].tensors[0].holds: expected an array, found the "
            "string 'router'");
  EXPECT_EQ(refusal(with(R"(["router"])", R"(["rooter"])")),
            "f.json: layouts[0].tensors[0].holds: expected one of router, "
            "gate, up, down, shared.router, shared.gate, shared.up, "
            "shared.down, found the string 'rooter'");
  EXPECT_EQ(refusal(with(R"(["up", "gate"])", R"(["up", "up"])")),
            "f.json: layouts[0].tensors[1].holds: expected each name once, "
            "found the string 'up' twice");
  EXPECT_EQ(refusal(with(R"(["up", "gate"])", R"(["up", "down"])")),
            "f.json: layouts[0].tensors[1].holds: expected only gate and up "
            "together, found up with down");
  EXPECT_EQ(refusal(with(R"(["up", "gate"])", R"(["up", "shared.gate"])")),
            "f.json: layouts[0].tensors[1].holds: expected only gate and up "
            "together, found up with shared.gate");
  EXPECT_EQ(refusal(with(R"(["up", "gate"], "split")", R"(["up"], "split")")),
            "f.json: layouts[0].tensors[1].split: expected it only where a "
            "tensor holds several, found one that holds up");
  EXPECT_EQ(refusal(with(R"("interleaved")", R"("mixed")")),
            "f.json: layouts[0].tensors[1].split: expected one of blocks, "
            "interleaved, found the string 'mixed'");
  EXPECT_EQ(refusal(with(R"("holds": ["down"])", R"("holds": ["gate"])")),
            "f.json: layouts[0].tensors: expected one tensor that holds gate, "
            "found 2");
  std::string down = R"({"name": "e.{expert}.d", )"
                     R"("axes": ["hidden", "intermediate"], )"
                     R"("holds": ["down"]},)";
  EXPECT_EQ(refusal(with(down, "")),
            "f.json: layouts[0].tensors: expected one tensor that holds down, "
            "found 0");
  EXPECT_EQ(refusal(with(R"("holds": ["shared.router"])",
                         R"("holds": ["shared.router"], "x": 1)")),
            "f.json: layouts[0].tensors[3]: expected only the keys name, axes, "
            "holds, split, found 'x'");
  EXPECT_EQ(refusal(with(R"(, "shared_intermediate": 6)", "")),
            "f.json: layouts[0].tensors: expected no tensor without "
            "config.shared_intermediate that holds shared.router, found 1");
}

TEST(Family, mayLackTheRouterOfSharedExperts) {
  std::string line =
      R"({"name": "s.r", "axes": ["one", "hidden"], "holds": ["shared.router"]},)";
  EXPECT_TRUE(parseFamily("f.json", with(line, "")));
}

TEST(Family, refusesAxesThatAreNoMatrixOfTheRole) {
  EXPECT_EQ(refusal(with(R"(["hidden", "experts"])", R"(["hidden", "one"])")),
            "f.json: layouts[0].tensors[0].axes: expected hidden and experts "
            "in either order, found hidden, one");
  EXPECT_EQ(refusal(with(R"(["experts", "hidden", "intermediate"])",
                         R"(["hidden", "intermediate", "experts"])")),
            "f.json: layouts[0].tensors[1].axes: expected experts, then hidden "
            "and intermediate in either order, found hidden, intermediate, "
            "experts");
  EXPECT_EQ(refusal(with(R"(["experts", "hidden", "intermediate"])",
                         R"(["experts"])")),
            "f.json: layouts[0].tensors[1].axes: expected experts, then hidden "
            "and intermediate in either order, found experts");
  EXPECT_EQ(refusal(with(R"(["experts", "hidden", "intermediate"])",
                         R"(["one", "hidden", "intermediate"])")),
            "f.json: layouts[0].tensors[1].axes: expected experts, then hidden "
            "and intermediate in either order, found one, hidden, "
            "intermediate");
  EXPECT_EQ(refusal(with(R"(["hidden", "intermediate"], "holds": ["down"])",
                         R"(["experts", "hidden"], "holds": ["down"])")),
            "f.json: layouts[0].tensors[2].axes: expected intermediate and "
            "hidden in either order, found experts, hidden");
  EXPECT_EQ(refusal(with(R"(["hidden", "experts"])", R"(["width"])")),
            "f.json: layouts[0].tensors[0].axes: expected one of experts, "
            "hidden, intermediate, shared_intermediate, one, found the string "
            "'width'");
}

TEST(Family, loadsAFolder) {
  TemporaryFolder folder;
  EXPECT_EQ(loadFamilies(folder.path).error(),
            folder.path + ": expected family files *.json, found none");
  folder.write("a.json", complete);
  folder.write("readme.txt", "no family");
  Result<std::vector<Family>> families = loadFamilies(folder.path);
  ASSERT_TRUE(families) << families.error();
  EXPECT_EQ(families->size(), 1u);
  folder.write("b.json", with("\"made_up\", ", ""));
  EXPECT_EQ(loadFamilies(folder.path).error(),
            folder.file("b.json") +
                ": expected each model type and architecture in one family, "
                "found 'made_up_too' in " +
                folder.file("a.json") + " too");
  folder.write("b.json", "{}");
  EXPECT_EQ(loadFamilies(folder.path).error(),
            folder.file("b.json") + ": expected the key 'format', found only ");
  EXPECT_EQ(loadFamilies(folder.file("none")).error(),
            folder.file("none") + ": expected a folder of family files, found "
                                  "none: No such file or directory");
}

TEST(Family, findsThoseThatCameWithTheProgram) {
  Result<std::string> folder = installedFamilies();
  ASSERT_TRUE(folder) << folder.error();
  Result<std::vector<Family>> families = loadFamilies(*folder);
  ASSERT_TRUE(families) << families.error();
  std::vector<std::string> names;
  for (const Family &family : *families)
    names.push_back(family.name);
  EXPECT_EQ(names, (std::vector<std::string>{"mixtral", "olmoe", "qwen3_moe"}));
}

TEST(Family, saysWhereTheyShouldBe) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("a/bin"));
  std::string program = folder.write("a/bin/program", "");
  std::string place = std::filesystem::canonical(folder.path).string() +
                      "/a/share/moec/families";
  EXPECT_EQ(installedFamilies(program).error(),
            place + ": expected the families that come with the program, found "
                    "no such folder");
  std::filesystem::create_directories(place);
  std::filesystem::create_symlink(program, folder.file("link"));
  EXPECT_EQ(*installedFamilies(program), place);
  EXPECT_EQ(*installedFamilies(folder.file("link")), place);
  EXPECT_EQ(installedFamilies(folder.file("none")).error(),
            folder.file("none") + ": expected a program, to find families "
                                  "beside it, found none: No such file or "
                                  "directory");
}

/// What selectFamily says to a config.
std::string selection(const std::string &config) {
  static Result<std::vector<Family>> families =
      loadFamilies(*installedFamilies());
  Result<JsonValue> json = parseJson("config.json", config);
  EXPECT_TRUE(json) << json.error();
  Result<const Family *> family = selectFamily("config.json", *json, *families);
  return family ? (*family)->name : family.error();
}

TEST(Family, isSelectedByAConfig) {
  EXPECT_EQ(selection(R"({"model_type": "mixtral"})"), "mixtral");
  EXPECT_EQ(selection(R"({"architectures": ["X", "OlmoeForCausalLM"]})"),
            "olmoe");
  EXPECT_EQ(selection(R"({"model_type": "mixtral_of_mine",
                          "architectures": ["MixtralForCausalLM"]})"),
            "mixtral");
  EXPECT_EQ(selection(R"({"model_type": "qwen3_moe", "architectures": null})"),
            "qwen3_moe");
}

TEST(Family, selectionSaysWhatIsNearest) {
  EXPECT_EQ(selection(R"({"model_type": "qwen2_moe"})"),
            "config.json: expected a model of a known family (mixtral, olmoe, "
            "qwen3_moe), found 'qwen2_moe'; the nearest is qwen3_moe");
  EXPECT_EQ(selection(R"({"model_type": "x", "architectures":
                          ["MistralForCausalLM"]})"),
            "config.json: expected a model of a known family (mixtral, olmoe, "
            "qwen3_moe), found 'x', 'MistralForCausalLM'; the nearest is "
            "mixtral");
  EXPECT_EQ(selection(R"({"model_type": "mixtral", "architectures":
                          ["OlmoeForCausalLM"]})"),
            "config.json: expected one family, found 'mixtral' of mixtral and "
            "'OlmoeForCausalLM' of olmoe");
  EXPECT_EQ(selection("{}"), "config.json: expected model_type or "
                             "architectures, found neither");
  EXPECT_EQ(selection(R"({"model_type": 7})"),
            "config.json: expected a text for model_type, found 7");
  EXPECT_EQ(selection("[]"),
            "config.json: expected an object, found an array of 0");
}

} // namespace
