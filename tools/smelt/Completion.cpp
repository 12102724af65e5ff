//===- Completion.cpp - Shell completion from the command tree ------------===//
//
// The script holds one case per subcommand path ("train", "data pack") with its words, and one case
// per option that takes a value: a list of choices, or files. Option kinds are told apart by
// CLI11's type name: FILE/DIR/PATH complete paths, {a,b} completes words.
//
//===----------------------------------------------------------------------===//
#include "tools/smelt/Completion.h"

#include <CLI/CLI.hpp>

namespace smelt::cli {
namespace {

struct Script {
  std::string words;  ///< case lines: path) words=…
  std::string values; ///< case lines: path:option) how to complete the option's value
  std::string paths;  ///< the known paths, for the word loop
};

std::string longNames(const CLI::Option &option, const char *separator) {
  std::string all;
  for (const std::string &name : option.get_lnames())
    all += (all.empty() ? "" : separator) + ("--" + name);
  for (const std::string &name : option.get_snames())
    all += (all.empty() ? "" : separator) + ("-" + name);
  return all;
}

/// The words of a choice option's type name "{lm,train}"; empty for other options.
std::string choices(const CLI::Option &option) {
  std::string type = option.get_type_name();
  size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos)
    return "";
  std::string list = type.substr(open + 1, close - open - 1);
  for (char &c : list)
    if (c == ',')
      c = ' ';
  return list;
}

void addCommand(const CLI::App &app, const std::string &path, Script &script) {
  std::string words;
  for (const CLI::App *child : app.get_subcommands(nullptr)) {
    words += child->get_name() + " ";
    std::string childPath = path.empty() ? child->get_name() : path + "-" + child->get_name();
    script.paths += " " + childPath;
    addCommand(*child, childPath, script);
  }
  for (const CLI::Option *option : app.get_options()) {
    std::string names = longNames(*option, " ");
    if (names.empty())
      continue; // A positional: completed as a file.
    words += names + " ";
    if (option->get_items_expected_max() == 0)
      continue; // A flag.
    std::string pattern;
    std::string alternatives = longNames(*option, "|");
    for (size_t begin = 0; begin <= alternatives.size();) {
      size_t end = std::min(alternatives.find('|', begin), alternatives.size());
      pattern += (pattern.empty() ? "" : "|") +
                 ("'" + path + ":" + alternatives.substr(begin, end - begin) + "'");
      begin = end + 1;
    }
    std::string list = choices(*option);
    script.values += "    " + pattern + ") " +
                     (list.empty() ? "COMPREPLY=($(compgen -f -- \"$current\"))"
                                   : "COMPREPLY=($(compgen -W '" + list + "' -- \"$current\"))") +
                     "; return ;;\n";
  }
  script.words += "    '" + path + "') words='" + words + "' ;;\n";
}

} // namespace

std::string bashCompletion(const CLI::App &app) {
  Script script;
  addCommand(app, "", script);
  return "# bash completion for smelt; written by `smelt completion bash`. Load it with: source "
         "<(smelt completion bash)\n"
         "_smelt() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous='' path='' word words='' i\n"
         "  [ \"$COMP_CWORD\" -gt 0 ] && previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local paths='" +
         script.paths +
         " '\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    [[ $paths == *\" ${path:+$path-}$word \"* ]] && path=${path:+$path-}$word\n"
         "  done\n"
         "  case \"$path:$previous\" in\n" +
         script.values +
         "  esac\n"
         "  case \"$path\" in\n" +
         script.words +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [[ $current != -* ]] && COMPREPLY+=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -o filenames -F _smelt smelt\n";
}

} // namespace smelt::cli
