// From PTX text to a module.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Parser.h"

#include "tools/PTXEmulator/Lexer.h"
#include "tools/PTXEmulator/SpecialRegisters.h"

#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>

using namespace moec::weights;

namespace moec::ptx {

namespace {

/// Names that a block between braces declares.
struct Scope {
  int parent;
  std::map<std::string, Type, std::less<>> registers;
  /// `.reg .b32 %r<8>` declares %r0 to %r7: the prefix, the type, the count.
  std::map<std::string, std::pair<Type, uint32_t>, std::less<>> families;
  /// Registers in use, by name: indices into Function::registers.
  std::unordered_map<std::string, uint32_t> used;
  /// Indices into Function::variables.
  std::map<std::string, uint32_t, std::less<>> variables;
  /// The statement behind a label.
  std::map<std::string, uint32_t, std::less<>> labels;
  /// Labels that a .branchtargets directive lists under its own.
  std::map<std::string, std::vector<std::string>, std::less<>> tables;
};

bool isBranch(const Statement &statement) {
  return statement.opcode[0] == "bra" || statement.opcode[0] == "brx";
}

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}

  Result<Module> run() {
    while (ok() && peek().kind != Token::Kind::End)
      parseTopLevel();
    if (!ok())
      return Error{failure};
    return std::move(module);
  }

private:
  // Tokens.

  bool ok() const { return failure.empty(); }

  void fail(unsigned line, const std::string &message) {
    if (ok())
      failure = "line " + std::to_string(line) + ": " + message;
  }

  void failExpected(const std::string &expected) {
    const Token &found = peek();
    fail(found.line, "expected " + expected + ", found " +
                         (found.kind == Token::Kind::End
                              ? std::string("the end of the text")
                              : "'" + std::string(found.text) + "'"));
  }

  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)];
  }

  const Token &take() {
    const Token &token = peek();
    if (position + 1 < tokens.size())
      ++position;
    return token;
  }

  bool takeIf(std::string_view text) {
    if (!peek().is(text))
      return false;
    take();
    return true;
  }

  void expect(std::string_view text) {
    if (!takeIf(text))
      failExpected("'" + std::string(text) + "'");
  }

  std::string takeName(const char *what) {
    if (peek().kind != Token::Kind::Word || peek().text[0] == '.') {
      failExpected(what);
      return "";
    }
    return std::string(take().text);
  }

  void skipLine() {
    unsigned line = peek().line;
    while (peek().kind != Token::Kind::End && peek().line == line)
      take();
  }

  void skipUntil(std::string_view text) {
    while (peek().kind != Token::Kind::End && !takeIf(text))
      take();
  }

  /// A word without its leading dot, if it is a type.
  static std::optional<Type> typeOf(const Token &token) {
    if (token.kind != Token::Kind::Word || token.text[0] != '.')
      return std::nullopt;
    return parseType(token.text.substr(1));
  }

  // Numbers.

  /// The value of a number, which may carry the suffix U.
  std::optional<uint64_t> valueOf(std::string_view text) {
    int base = 10;
    if (text.size() > 1 && text[0] == '0') {
      char kind = static_cast<char>(std::tolower(text[1]));
      base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
      text.remove_prefix(kind == 'x' || kind == 'b' ? 2 : 1);
    }
    if (!text.empty() && text.back() == 'U')
      text.remove_suffix(1);
    uint64_t value = 0;
    auto [end, status] =
        std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (status != std::errc() || end != text.data() + text.size())
      return std::nullopt;
    return value;
  }

  uint64_t takeInteger() {
    bool negative = takeIf("-");
    std::optional<uint64_t> value;
    if (peek().kind == Token::Kind::Number)
      value = valueOf(peek().text);
    if (!value) {
      failExpected("an integer");
      return 0;
    }
    take();
    return negative ? -*value : *value;
  }

  /// An integer, or a float given by its bits.
  Operand takeNumber() {
    Operand operand;
    bool negative = takeIf("-");
    std::string_view text = peek().text;
    bool isHexFloat =
        text.size() > 2 && text[0] == '0' &&
        (std::tolower(text[1]) == 'f' || std::tolower(text[1]) == 'd');
    if (!isHexFloat) {
      operand.kind = Operand::Kind::Integer;
      operand.bits = takeInteger();
      if (negative)
        operand.bits = -operand.bits;
      return operand;
    }
    bool isDouble = std::tolower(text[1]) == 'd';
    operand.kind = isDouble ? Operand::Kind::Float64 : Operand::Kind::Float32;
    auto [end, status] = std::from_chars(
        text.data() + 2, text.data() + text.size(), operand.bits, 16);
    if (status != std::errc() || end != text.data() + text.size() ||
        text.size() != (isDouble ? 18 : 10))
      failExpected(isDouble ? "16 digits behind 0d" : "8 digits behind 0f");
    take();
    if (negative)
      operand.bits ^= uint64_t(1) << (isDouble ? 63 : 31);
    return operand;
  }

  // The module.

  void parseTopLevel() {
    const Token &token = peek();
    if (token.is(".version")) {
      parseVersion();
    } else if (token.is(".target")) {
      take();
      module.target = takeName("a target");
      while (takeIf(","))
        takeName("a target option");
    } else if (token.is(".address_size")) {
      take();
      if (takeInteger() != 64)
        fail(token.line, "expected .address_size 64");
    } else if (token.is(".file") || token.is(".loc")) {
      skipLine();
    } else if (token.is(".pragma")) {
      skipUntil(";");
    } else if (token.is(".section")) {
      skipUntil("{");
      skipUntil("}");
    } else {
      parseDeclaration();
    }
  }

  /// The lexer sees `8.6` as a number, a dot and a number in one or two words.
  void parseVersion() {
    take();
    module.versionMajor = static_cast<unsigned>(takeInteger());
    const Token &minor = take();
    if (minor.kind != Token::Kind::Word || minor.text.size() < 2 ||
        minor.text[0] != '.')
      return fail(minor.line, "expected .version MAJOR.MINOR");
    module.versionMinor =
        static_cast<unsigned>(valueOf(minor.text.substr(1)).value_or(0));
  }

  void parseDeclaration() {
    bool isExternal = false;
    while (peek().is(".visible") || peek().is(".extern") ||
           peek().is(".weak") || peek().is(".common"))
      isExternal |= take().is(".extern");
    if (peek().is(".entry") || peek().is(".func"))
      return parseFunction();
    Variable variable;
    if (!parseSpace(variable.space))
      return failExpected("a directive");
    variable.isExternal = isExternal;
    parseVariable(variable);
    expect(";");
    module.variables.push_back(std::move(variable));
  }

  bool parseSpace(Space &space) {
    static constexpr std::pair<std::string_view, Space> spaces[] = {
        {".global", Space::Global}, {".shared", Space::Shared},
        {".const", Space::Const},   {".local", Space::Local},
        {".param", Space::Param},
    };
    for (const auto &[name, value] : spaces)
      if (takeIf(name)) {
        space = value;
        return true;
      }
    return false;
  }

  /// `.align 16 .b8 name[4] = {1, 2}` behind the state space.
  void parseVariable(Variable &variable) {
    variable.line = peek().line;
    bool typed = false;
    unsigned alignment = 0;
    uint64_t count = 1;
    while (ok()) {
      if (takeIf(".align")) {
        alignment = static_cast<unsigned>(takeInteger());
      } else if (takeIf(".ptr")) {
        // What a parameter points to.
        Space pointee;
        parseSpace(pointee);
        if (takeIf(".align"))
          takeInteger();
      } else if (takeIf(".v2")) {
        count = 2;
      } else if (takeIf(".v4")) {
        count = 4;
      } else if (std::optional<Type> type = typeOf(peek())) {
        variable.type = *type;
        typed = true;
        take();
      } else if (peek().kind == Token::Kind::Word &&
                 peek().text.starts_with(".attribute")) {
        skipUntil(")");
      } else {
        break;
      }
    }
    if (!typed)
      return failExpected("a type");
    variable.name = takeName("the name of a variable");
    uint64_t elementBytes = bytesOf(variable.type);
    variable.alignment =
        alignment ? alignment : static_cast<unsigned>(elementBytes * count);
    while (takeIf("["))
      parseExtent(variable, count);
    variable.bytes = elementBytes * count;
    if (takeIf("="))
      parseInitial(variable);
  }

  void parseExtent(Variable &variable, uint64_t &count) {
    if (takeIf("]")) {
      count = variable.isExternal ? 0 : count;
      if (!variable.isExternal)
        fail(variable.line, "expected the extent of '" + variable.name + "'");
      return;
    }
    count *= takeInteger();
    expect("]");
  }

  void parseInitial(Variable &variable) {
    if (takeIf("{")) {
      while (ok() && !takeIf("}")) {
        if (peek().is("{"))
          parseInitial(variable);
        else
          parseInitialValue(variable);
        takeIf(",");
      }
    } else {
      parseInitialValue(variable);
    }
    if (variable.initial.size() > variable.bytes)
      fail(variable.line,
           "'" + variable.name + "' has " + std::to_string(variable.bytes) +
               " bytes, found " + std::to_string(variable.initial.size()));
  }

  void parseInitialValue(Variable &variable) {
    uint64_t place = variable.initial.size();
    uint64_t bits = 0;
    if (peek().kind == Token::Kind::Word) {
      bool generic = peek().is("generic");
      if (generic) {
        take();
        expect("(");
      }
      Variable::Address address{place, takeName("a symbol"), 0};
      if (generic)
        expect(")");
      if (takeIf("+"))
        address.offset = static_cast<int64_t>(takeInteger());
      variable.addresses.push_back(std::move(address));
    } else {
      bits = takeNumber().bits;
    }
    variable.initial.resize(place + bytesOf(variable.type));
    std::memcpy(&variable.initial[place], &bits, bytesOf(variable.type));
  }

  // Functions.

  void parseFunction() {
    Function parsed;
    parsed.line = peek().line;
    parsed.isEntry = take().is(".entry");
    function = &parsed;
    scopes.assign(1, Scope{-1, {}, {}, {}, {}, {}, {}});
    scope = 0;
    pendingTargets.clear();
    std::vector<Variable> returns;
    if (takeIf("("))
      parseParameters(returns);
    parsed.name = takeName("the name of a function");
    std::vector<Variable> parameters;
    if (takeIf("("))
      parseParameters(parameters);
    parsed.parameterCount = parameters.size();
    parsed.returnCount = returns.size();
    for (std::vector<Variable> *list : {&parameters, &returns})
      for (Variable &variable : *list)
        declare(std::move(variable));
    parseFunctionDirectives();
    if (takeIf("{")) {
      parsed.hasBody = true;
      parseBody();
      resolveTargets();
    } else {
      expect(";");
    }
    function = nullptr;
    // A declaration does not replace the definition.
    auto known = module.functions.find(parsed.name);
    if (known == module.functions.end() || !known->second.hasBody)
      module.functions[parsed.name] = std::move(parsed);
  }

  void parseParameters(std::vector<Variable> &variables) {
    while (ok() && !takeIf(")")) {
      Variable variable;
      if (!parseSpace(variable.space) || variable.space != Space::Param)
        return failExpected("'.param'");
      parseVariable(variable);
      variables.push_back(std::move(variable));
      if (!peek().is(")"))
        expect(",");
    }
  }

  void parseFunctionDirectives() {
    while (ok() && peek().kind == Token::Kind::Word) {
      const Token &directive = take();
      if (directive.is(".maxntid") || directive.is(".reqntid")) {
        function->threadsRequired = directive.is(".reqntid");
        function->threads = takeExtent();
      } else if (directive.is(".reqnctapercluster")) {
        function->cluster = takeExtent();
      } else if (directive.is(".minnctapersm") || directive.is(".maxnreg") ||
                 directive.is(".maxnctapersm") ||
                 directive.is(".maxclusterrank")) {
        takeInteger();
      } else if (!directive.is(".noreturn") &&
                 !directive.is(".explicitcluster") &&
                 !directive.is(".blocksareclusters")) {
        fail(directive.line, "expected a directive of a function, found '" +
                                 std::string(directive.text) + "'");
      }
    }
  }

  std::array<unsigned, 3> takeExtent() {
    std::array<unsigned, 3> extent = {static_cast<unsigned>(takeInteger()), 1,
                                      1};
    for (size_t i = 1; i < 3 && takeIf(","); ++i)
      extent[i] = static_cast<unsigned>(takeInteger());
    return extent;
  }

  void declare(Variable variable) {
    scopes[scope].variables[variable.name] =
        static_cast<uint32_t>(function->variables.size());
    function->variables.push_back(std::move(variable));
  }

  void parseBody() {
    int outermost = scope;
    while (ok()) {
      const Token &token = peek();
      if (token.kind == Token::Kind::End)
        return failExpected("'}'");
      if (takeIf("{")) {
        scopes.push_back(Scope{scope, {}, {}, {}, {}, {}, {}});
        scope = static_cast<int>(scopes.size()) - 1;
      } else if (takeIf("}")) {
        if (scope == outermost)
          return;
        scope = scopes[scope].parent;
      } else if (token.kind == Token::Kind::Word && token.text[0] == '.') {
        parseBodyDirective();
      } else if (token.kind == Token::Kind::Word && peek(1).is(":")) {
        parseLabel();
      } else if (!takeIf(";")) {
        parseStatement();
      }
    }
  }

  void parseLabel() {
    std::string name(take().text);
    take();
    if (!takeIf(".branchtargets")) {
      scopes[scope].labels[name] =
          static_cast<uint32_t>(function->statements.size());
      return;
    }
    std::vector<std::string> &table = scopes[scope].tables[name];
    do
      table.push_back(takeName("a label"));
    while (takeIf(","));
    expect(";");
  }

  void parseBodyDirective() {
    if (peek().is(".loc") || peek().is(".file"))
      return skipLine();
    if (peek().is(".pragma"))
      return skipUntil(";");
    if (takeIf(".reg"))
      return parseRegisters();
    Variable variable;
    variable.isExternal = takeIf(".extern");
    if (!parseSpace(variable.space))
      return failExpected("a directive or an instruction");
    parseVariable(variable);
    expect(";");
    declare(std::move(variable));
  }

  void parseRegisters() {
    std::optional<Type> type = typeOf(peek());
    if (!type)
      return failExpected("the type of registers");
    take();
    do {
      std::string name = takeName("the name of a register");
      if (takeIf("<")) {
        scopes[scope].families[name] = {*type,
                                        static_cast<uint32_t>(takeInteger())};
        expect(">");
      } else {
        scopes[scope].registers[name] = *type;
      }
    } while (ok() && takeIf(","));
    expect(";");
  }

  // Statements.

  void parseStatement() {
    Statement statement;
    size_t begin = position;
    statement.line = peek().line;
    if (takeIf("@")) {
      statement.guarded = true;
      bool negated = takeIf("!");
      statement.guard = parseOperand();
      statement.guard.negated = negated;
    }
    if (peek().kind != Token::Kind::Word)
      return failExpected("an instruction");
    splitOpcode(take().text, statement.opcode);
    while (ok() && !peek().is(";")) {
      statement.operands.push_back(parseOperand());
      if (!peek().is(";"))
        expect(",");
    }
    for (size_t i = begin; i < position; ++i) {
      bool glued = i == begin ||
                   std::string_view(",;])}+|").find(tokens[i].text) !=
                       std::string_view::npos ||
                   std::string_view("[({@!+-|").find(tokens[i - 1].text) !=
                       std::string_view::npos;
      statement.text += (glued ? "" : " ") + std::string(tokens[i].text);
    }
    expect(";");
    if (isBranch(statement))
      pendingTargets.emplace_back(function->statements.size(), scope);
    function->statements.push_back(std::move(statement));
  }

  static void splitOpcode(std::string_view text,
                          std::vector<std::string> &parts) {
    size_t begin = 0;
    while (begin <= text.size()) {
      size_t end = std::min(text.find('.', begin), text.size());
      parts.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  Operand parseOperand() {
    Operand first = parseSimpleOperand();
    if (!takeIf("|"))
      return first;
    Operand pair;
    pair.kind = Operand::Kind::Pair;
    pair.parts.push_back(std::move(first));
    pair.parts.push_back(parseSimpleOperand());
    return pair;
  }

  Operand parseSimpleOperand() {
    if (takeIf("["))
      return parseMemory();
    if (takeIf("{"))
      return parseList(Operand::Kind::Vector, "}");
    if (takeIf("("))
      return parseList(Operand::Kind::List, ")");
    bool negated = takeIf("!");
    if (peek().kind == Token::Kind::Number || peek().is("-"))
      return takeNumber();
    if (peek().kind != Token::Kind::Word) {
      failExpected("an operand");
      return {};
    }
    const Token &token = take();
    Operand operand = resolve(std::string(token.text), token.line);
    operand.negated = negated;
    if (takeIf("+")) {
      operand.offset = static_cast<int64_t>(takeInteger());
    }
    return operand;
  }

  Operand parseList(Operand::Kind kind, std::string_view end) {
    Operand list;
    list.kind = kind;
    while (ok() && !takeIf(end)) {
      list.parts.push_back(parseSimpleOperand());
      if (!peek().is(end))
        expect(",");
    }
    return list;
  }

  /// The base may carry an offset: [%rd1+16], [%rd1+-16], [table].
  Operand parseMemory() {
    Operand memory;
    memory.kind = Operand::Kind::Memory;
    memory.parts.push_back(parseSimpleOperand());
    std::swap(memory.offset, memory.parts[0].offset);
    while (ok() && takeIf(","))
      memory.parts.push_back(parseSimpleOperand());
    expect("]");
    return memory;
  }

  /// What a name means here.
  Operand resolve(const std::string &name, unsigned line) {
    Operand operand;
    if (name == "_")
      return operand;
    for (int at = scope; at >= 0; at = scopes[at].parent) {
      if (std::optional<Type> type = registerType(scopes[at], name)) {
        operand.kind = Operand::Kind::Register;
        operand.index = registerIndex(scopes[at], name, *type, false);
        return operand;
      }
      if (auto found = scopes[at].variables.find(name);
          found != scopes[at].variables.end()) {
        operand.kind = Operand::Kind::Variable;
        operand.index = found->second;
        return operand;
      }
    }
    if (name == "WARP_SZ") {
      operand.kind = Operand::Kind::Integer;
      operand.bits = warpSize;
    } else if (std::optional<Type> type = specialRegisterType(name)) {
      operand.kind = Operand::Kind::Register;
      operand.index = registerIndex(scopes[0], name, *type, true);
    } else if (name[0] == '%') {
      fail(line, "expected a register, found '" + name + "'");
    } else {
      operand.kind = Operand::Kind::Name;
      operand.name = name;
    }
    return operand;
  }

  static std::optional<Type> registerType(const Scope &scope,
                                          const std::string &name) {
    if (auto found = scope.registers.find(name); found != scope.registers.end())
      return found->second;
    size_t digits = name.find_last_not_of("0123456789") + 1;
    if (digits == name.size() || digits == 0)
      return std::nullopt;
    auto family = scope.families.find(std::string_view(name).substr(0, digits));
    if (family == scope.families.end())
      return std::nullopt;
    uint32_t index = 0;
    std::from_chars(name.data() + digits, name.data() + name.size(), index);
    if (index >= family->second.second)
      return std::nullopt;
    return family->second.first;
  }

  uint32_t registerIndex(Scope &scope, const std::string &name, Type type,
                         bool isSpecial) {
    auto [found, added] = scope.used.try_emplace(
        name, static_cast<uint32_t>(function->registers.size()));
    if (added)
      function->registers.push_back({name, type, isSpecial});
    return found->second;
  }

  // Branches.

  void resolveTargets() {
    for (const auto &[index, from] : pendingTargets) {
      Statement &statement = function->statements[index];
      const std::string &name = statement.operands.empty()
                                    ? std::string()
                                    : statement.operands.back().name;
      std::vector<std::string> labels = {name};
      if (statement.opcode[0] == "brx") {
        const std::vector<std::string> *table = findTable(from, name);
        if (!table)
          return fail(statement.line,
                      "expected a list of branch targets, found '" + name +
                          "'");
        labels = *table;
      }
      for (const std::string &label : labels) {
        std::optional<uint32_t> target = findLabel(from, label);
        if (!target)
          return fail(statement.line,
                      "expected a label, found '" + label + "'");
        statement.targets.push_back(*target);
      }
    }
  }

  std::optional<uint32_t> findLabel(int from, const std::string &name) const {
    for (int at = from; at >= 0; at = scopes[at].parent)
      if (auto found = scopes[at].labels.find(name);
          found != scopes[at].labels.end())
        return found->second;
    return std::nullopt;
  }

  const std::vector<std::string> *findTable(int from,
                                            const std::string &name) const {
    for (int at = from; at >= 0; at = scopes[at].parent)
      if (auto found = scopes[at].tables.find(name);
          found != scopes[at].tables.end())
        return &found->second;
    return nullptr;
  }

  std::vector<Token> tokens;
  size_t position = 0;
  std::string failure;
  Module module;

  // Of the function that is being parsed.
  Function *function = nullptr;
  std::vector<Scope> scopes;
  int scope = 0;
  /// Branches: their statement, and the scope they stand in.
  std::vector<std::pair<size_t, int>> pendingTargets;
};

} // namespace

Result<Module> parseModule(std::string_view text) {
  Result<std::vector<Token>> tokens = tokenize(text);
  if (!tokens)
    return Error{tokens.error()};
  return Parser(std::move(*tokens)).run();
}

} // namespace moec::ptx
