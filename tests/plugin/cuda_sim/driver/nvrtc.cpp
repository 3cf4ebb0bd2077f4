// libnvrtc.so.13, simulated: a program "compiled" is its source in a container, after g++ took it, so that what a caller keeps as a
// cubin (or PTX) can be loaded by the simulated driver in any mode. Errors and options are NVRTC's as far as callers see them.
#include <cstring>
#include <regex>
#include <string>

#include "sim.h"

typedef enum { NVRTC_SUCCESS = 0, NVRTC_ERROR_INVALID_INPUT = 3, NVRTC_ERROR_INVALID_PROGRAM = 4, NVRTC_ERROR_INVALID_OPTION = 5,
               NVRTC_ERROR_COMPILATION = 6 } nvrtcResult;
struct Program {
  sim::Source source;
  std::string arch, log, made;
  bool real;
};
typedef Program *nvrtcProgram;

static const int ARCHS[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
static const char *OPTIONS[] = {"--gpu-architecture=", "-arch=", "--fmad=", "-fmad=", "--std=", "-std=", "--ftz=", "-ftz=", "--prec-div=",
                                "-prec-div=", "--prec-sqrt=", "-prec-sqrt=", "--use_fast_math", "-use_fast_math", "-I", "--include-path=", "-D",
                                "--define-macro=", "-default-device", "--device-as-default-execution-space", "--device-int128", "-lineinfo",
                                "--generate-line-info", "-G", "--maxrregcount=", "--restrict", "-w", "--disable-warnings", "--extra-device-vectorization",
                                "--diag-suppress=", "--no-source-include", "--split-compile=", "--minimal", "--relocatable-device-code="};

static bool known(const std::string &option) {
  for (const char *start : OPTIONS)
    if (!option.compare(0, strlen(start), start)) return true;
  return false;
}

static bool arch_known(const std::string &arch, bool &real) {
  real = !arch.compare(0, 3, "sm_");
  const long n = strtol(arch.c_str() + arch.find('_') + 1, nullptr, 10);
  for (const int a : ARCHS)
    if (a == n && (real || !arch.compare(0, 8, "compute_"))) return true;
  return false;
}

static std::string as_nvrtc(const std::string &log) {  // "k.cu:12:5: error: …" → "k.cu(12): error: …"
  static const std::regex place("(^|\n)([^\n:]+):(\\d+):\\d+: (fatal )?(error|warning): "), rest("(^|\n)[^\n]*(In function|In file included)[^\n]*");
  return std::regex_replace(std::regex_replace(log, place, "$1$2($3): $5: "), rest, "$1");
}

static nvrtcResult give(const std::string &text, char *where) {
  memcpy(where, text.data(), text.size());
  where[text.size()] = 0;
  return NVRTC_SUCCESS;
}

#define API extern "C" __attribute__((visibility("default")))

API nvrtcResult nvrtcVersion(int *major, int *minor) {
  *major = 13, *minor = 0;
  return NVRTC_SUCCESS;
}

API const char *nvrtcGetErrorString(nvrtcResult result) {
  switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
  }
  return "NVRTC_ERROR unknown";
}

API nvrtcResult nvrtcGetNumSupportedArchs(int *n) {
  *n = sizeof ARCHS / sizeof *ARCHS;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcGetSupportedArchs(int *archs) {
  memcpy(archs, ARCHS, sizeof ARCHS);
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *text, const char *name, int, const char *const *, const char *const *) {
  if (!text) return NVRTC_ERROR_INVALID_INPUT;
  *program = new Program{{text, name && *name ? name : "default_program", ""}, "compute_75", "", "", false};
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
  if (!program || !*program) return NVRTC_ERROR_INVALID_PROGRAM;
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

API nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int n, const char *const *options) {
  std::lock_guard<std::recursive_mutex> guard(sim::lock());
  for (int i = 0; i < n; i++) {
    const std::string option = options[i];
    if (!known(option)) {
      program->log = "nvrtc: error: unrecognized option " + option + " found\n";
      return NVRTC_ERROR_INVALID_OPTION;
    }
    if (!option.compare(0, 19, "--gpu-architecture=") || !option.compare(0, 6, "-arch=")) {
      program->arch = option.substr(option.find('=') + 1);
      if (!arch_known(program->arch, program->real)) {
        program->log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
        return NVRTC_ERROR_INVALID_OPTION;
      }
    } else if (!option.compare(0, 2, "-D") || option.find("fmad=") != std::string::npos) {
      program->source.options += (option[0] == '-' && option[1] == 'f' ? "-" + option : option) + "\n";
    }
  }
  program->made = sim::packed(program->source, program->arch);
  if (!sim::settings().gather.empty()) return NVRTC_SUCCESS;  // the driver, which is to load it, keeps the source
  std::string log;
  if (!sim::compiled(program->source, log).empty()) return NVRTC_SUCCESS;
  program->log = as_nvrtc(log);
  program->made.clear();
  return NVRTC_ERROR_COMPILATION;
}

API nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *size) {
  *size = program->log.size() + 1;
  return NVRTC_SUCCESS;
}
API nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) { return give(program->log, log); }
API nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t *size) {
  if (program->made.empty()) return NVRTC_ERROR_INVALID_PROGRAM;
  *size = program->made.size() + 1;
  return NVRTC_SUCCESS;
}
API nvrtcResult nvrtcGetPTX(nvrtcProgram program, char *ptx) { return give(program->made, ptx); }
API nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *size) {
  *size = program->real ? program->made.size() + 1 : 0;
  return program->made.empty() ? NVRTC_ERROR_INVALID_PROGRAM : NVRTC_SUCCESS;
}
API nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *cubin) {
  if (!program->real || program->made.empty()) return NVRTC_ERROR_INVALID_PROGRAM;
  return give(program->made, cubin);
}
