// From CUDA C to a shared object of the host, by g++. Kernels are kept on disk by the hash of source and options; many sources go
// into one call of the compiler where they are known together (`cuda_sim_build_collected`), each in a namespace of its own.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "sim.h"

namespace sim {

static std::string folder() {
  const std::string path = settings().folder + (settings().checked ? "/kernels-checked" : "/kernels");
  mkdir(path.c_str(), 0777);
  return path;
}

std::string key(const Source &source) {  // FNV-1a, 128 bits
  unsigned __int128 hash = (static_cast<unsigned __int128>(0x6c62272e07bb0142ull) << 64) | 0x62b821756295c58dull;
  const unsigned __int128 prime = (static_cast<unsigned __int128>(1) << 88) | 0x13b;
  for (const std::string *text : {&source.text, &source.options})
    for (const char c : *text + '\0') hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  char hex[40];
  snprintf(hex, sizeof hex, "k%016llx%016llx", static_cast<unsigned long long>(hash >> 64), static_cast<unsigned long long>(hash));
  return hex;
}

static std::string read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

static void write(const std::string &path, const std::string &text) {
  const std::string part = path + "." + std::to_string(getpid());
  std::ofstream(part, std::ios::binary) << text;
  rename(part.c_str(), path.c_str());
}

// Inline PTX as calls: asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)) → sim_ptx_cvt_f32_f16(f, h). The device header has the
// instructions that kernels use; another one is an error of the compiler that names it.
static std::string as_calls(const std::string &text) {
  static const std::regex statement("\\basm\\s*(?:volatile\\s*)?\\(\\s*\"([\\w.]+)[^\"]*\"((?:[^\";]|\"[^\"]*\")*)\\)\\s*;");
  static const std::regex operand("\"[=+]?\\w\"\\s*\\(([^()]*)\\)");
  std::string out;
  size_t at = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), statement), end; it != end; ++it) {
    std::string name = it->str(1), list;
    for (char &c : name)
      if (c == '.') c = '_';
    const std::string operands = it->str(2);
    for (std::sregex_iterator o(operands.begin(), operands.end(), operand); o != std::sregex_iterator(); ++o)
      list += (list.empty() ? "" : ", ") + o->str(1);
    out += text.substr(at, size_t(it->position()) - at) + "sim_ptx_" + name + "(" + list + ");";
    at = size_t(it->position() + it->length());
  }
  return out + text.substr(at);
}

// One source as a namespace, and the table of its kernels. Dynamic shared memory is a pointer here; linkage gives way.
static std::string wrapped(const Source &source) {
  static const std::regex dynamic("extern\\s+__shared__\\s+([^;\\[]*?)(\\w+)\\s*\\[\\s*\\]\\s*;");
  static const std::regex align("__align__\\s*\\(\\s*\\d+\\s*\\)|alignas\\s*\\(\\s*\\d+\\s*\\)"), linkage("extern\\s+\"C\"\\s*(?=(static\\s+)?__global__)");
  static const std::regex kernel("__global__\\s+(?:void\\s+)?(?:__launch_bounds__\\s*\\(([^),]+)[^)]*\\)\\s*)?(?:void\\s+)?(\\w+)\\s*\\(");
  const std::string id = key(source);
  std::string text;
  std::sregex_iterator it(source.text.begin(), source.text.end(), dynamic), end;
  size_t at = 0;
  for (; it != end; ++it) {
    const std::string type = std::regex_replace(it->str(1), align, "");
    text += source.text.substr(at, size_t(it->position()) - at) + type + "*const " + it->str(2) + " = (" + type + "*)cuda_sim_dynamic();";
    at = size_t(it->position() + it->length());
  }
  text += source.text.substr(at);
  text = std::regex_replace(text, linkage, "");
  text = as_calls(text);
  std::string rows;
  std::set<std::string> names;
  for (std::sregex_iterator k(text.begin(), text.end(), kernel); k != std::sregex_iterator(); ++k) {
    if (!names.insert(k->str(2)).second) continue;
    const std::string f = id + "::" + k->str(2), most = k->str(1).empty() ? "1024" : k->str(1);
    rows += "  {\"" + k->str(2) + "\", [](char *p) __attribute__((no_sanitize(\"thread\"))) { sim_call(" + f + ", p); }, sim_parameters(" + f +
            "), sim_count(" + f + "), " + most + ", " + id + "_from, " + id + "_to},\n";
  }
  const std::string section = "shared_" + id;
  std::string defines, undefines;
  std::istringstream options(source.options);
  for (std::string option; std::getline(options, option);)
    if (!option.compare(0, 2, "-D")) {
      const size_t equals = option.find('=');
      defines += "#define " + option.substr(2, equals - 2) + " " + (equals == std::string::npos ? "1" : option.substr(equals + 1)) + "\n";
      undefines += "#undef " + option.substr(2, equals - 2) + "\n";
    }
  return "#undef CUDA_SIM_SECTION\n#define CUDA_SIM_SECTION \"" + section + "\"\n" + defines + "namespace " + id + " {\n#line 1 \"" + source.name +
         "\"\n" + text + "\n}\n#line 1 \"the simulator's own\"\n" + undefines + "extern \"C\" char " + id + "_from[] __asm__(\"__start_" + section +
         "\") __attribute__((weak, visibility(\"hidden\"))), " + id + "_to[] __asm__(\"__stop_" + section +
         "\") __attribute__((weak, visibility(\"hidden\")));\nextern \"C\" __attribute__((visibility(\"default\"))) const SimKernel " + id +
         "_table[] = {\n" + rows + "  {0, 0, 0, 0, 0, 0, 0}};\n";
}

static bool contracts(const Source &source) { return source.options.find("--fmad=false") == std::string::npos; }

// g++ on `text`; the object's path, or "" and what the compiler said.
static std::string call_compiler(const std::string &name, const std::string &text, bool fma, std::string &log) {
  const std::string base = folder() + "/" + name + "." + std::to_string(getpid()), made = folder() + "/" + name + ".so";
  std::ofstream(base + ".cpp", std::ios::binary) << text;
  const char *compiler = getenv("CXX");
  std::string command = std::string("export LC_ALL=C LD_PRELOAD=; ") + (compiler && *compiler ? compiler : "g++") +
                        " -std=c++20 -O1 -g1 -w -fPIC -fvisibility=hidden -fno-strict-aliasing -fwrapv -fno-math-errno -fno-exceptions"
                        " -fno-rtti -fno-diagnostics-show-caret -fdiagnostics-color=never -fmax-errors=20"
                        // else 64 squarings in a row (an integer's power) take g++ 24 GB
                        " --param scev-max-expr-size=10 --param scev-max-expr-complexity=2";
  command += fma ? " -mfma -ffp-contract=fast" : " -ffp-contract=off";
  if (settings().checked) command += " -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fsanitize=bounds -fsanitize-undefined-trap-on-error";
  command += " -include '" + settings().folder + "/include/cuda_sim.h' -I '" + settings().folder + "/include' -c '" + base + ".cpp' -o '" + base +
             ".o' 2> '" + base + ".log' && " + (compiler && *compiler ? compiler : "g++") + " -shared -o '" + base + ".so' '" + base + ".o' '" +
             settings().folder + "/libcuda.so.1' -lm 2>> '" + base + ".log'";
  const int status = system(command.c_str());
  log = read(base + ".log");
  if (status == 0) rename((base + ".so").c_str(), made.c_str());
  for (const char *ending : {".cpp", ".o", ".log", ".so"}) unlink((base + ending).c_str());
  return status == 0 ? made : "";
}

static std::string kept(const std::string &id) {
  const std::string path = folder() + "/" + id + ".so";
  return access(path.c_str(), R_OK) == 0 ? path : "";
}

std::string compiled(const Source &source, std::string &log) {
  const std::string id = key(source);
  std::string path = kept(id);
  return path.empty() ? call_compiler(id, wrapped(source), contracts(source), log) : path;
}

// ---- what is called a cubin here: the source, with a head that tells its length -------------------------------------------------
static const char HEAD[] = "INGOT SIMULATED CUBIN 1\n";

std::string packed(const Source &source, const std::string &arch) {
  const std::string body = arch + "\n" + source.name + "\n" + std::to_string(source.options.size()) + "\n" + source.options + source.text;
  char length[32];
  snprintf(length, sizeof length, "%012zu\n", body.size());
  return HEAD + std::string(length) + body;
}

bool unpacked(const void *image, Source &source, std::string &arch) {
  const char *p = static_cast<const char *>(image);
  if (strncmp(p, HEAD, sizeof HEAD - 1)) return false;
  p += sizeof HEAD - 1;
  std::istringstream body(std::string(p + 13, size_t(strtoul(p, nullptr, 10))));
  std::string length;
  std::getline(body, arch);
  std::getline(body, source.name);
  std::getline(body, length);
  source.options.resize(strtoul(length.c_str(), nullptr, 10));
  body.read(source.options.data(), std::streamsize(source.options.size()));
  source.text.assign(std::istreambuf_iterator<char>(body), {});
  return true;
}

void collect(const Source &source, const std::string &arch) {
  write(settings().gather + "/" + key(source), packed(source, arch));
}

}  // namespace sim

// Compile the files of sources at `paths`, one a line, in one call of g++; where that is refused, each by itself. Returns how many
// are there afterwards.
extern "C" __attribute__((visibility("default"))) int cuda_sim_build_collected(const char *paths) {
  std::istringstream lines(paths);
  std::vector<sim::Source> sources;
  std::string text, log, arch;
  int n = 0;
  for (std::string path; std::getline(lines, path);) {
    sim::Source source;
    const std::string packed = sim::read(path);
    if (!sim::unpacked(packed.c_str(), source, arch)) continue;
    if (!sim::kept(sim::key(source)).empty()) {
      n++;
      continue;
    }
    sources.push_back(source);
    text += sim::wrapped(source);
  }
  if (sources.empty()) return n;
  const bool fma = sim::contracts(sources[0]);
  const std::string batch = "b" + sim::key({text, "", ""}), made = sim::call_compiler(batch, text, fma, log);
  for (const sim::Source &source : sources) {
    const std::string id = sim::key(source), link = sim::folder() + "/" + id + ".so";
    if (!made.empty() && sim::contracts(source) == fma)
      n += symlink((batch + ".so").c_str(), link.c_str()) == 0 || errno == EEXIST;
    else
      n += !sim::compiled(source, log).empty();
  }
  return n;
}
