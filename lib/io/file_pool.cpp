// See file_pool.hpp.
#include "io/file_pool.hpp"

#include <uv.h>

#include <weft/error.hpp>

#include "reactor/request.hpp"

namespace weft::detail {
namespace {

struct pool_call : uv_wait<uv_work_t> {
  void (*function)(void* argument) noexcept = nullptr;
  void* argument = nullptr;
  int status = 0;

  static pool_call& of(uv_work_t* request) noexcept {
    return static_cast<pool_call&>(uv_wait<uv_work_t>::of(request));
  }

  static int start(uv_loop_t* on, uv_work_t* request) {
    return uv_queue_work(
        on, request,
        [](uv_work_t* begun) {
          pool_call& me = of(begun);
          me.function(me.argument);
        },
        [](uv_work_t* ended, int code) {
          pool_call& me = of(ended);
          me.status = code;
          me.finish();
        });
  }
};

}  // namespace

void run_in_file_pool(const char* what, void (*function)(void* argument) noexcept, void* argument) {
  pool_call call;
  call.function = function;
  call.argument = argument;
  const int code = call.run(what, &pool_call::start);
  if (code != 0) throw io_error(std::error_code(-code, std::generic_category()), what);
  if (call.status == UV_ECANCELED) throw_cancelled();
}

}  // namespace weft::detail
