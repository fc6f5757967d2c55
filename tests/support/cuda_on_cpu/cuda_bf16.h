// bfloat16, rounded to nearest even as on a GPU.
#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
  uint16_t bits;

  __nv_bfloat16() = default;
  explicit __nv_bfloat16(float value) {
    uint32_t all;
    std::memcpy(&all, &value, sizeof(all));
    bits = static_cast<uint16_t>((all + 0x7fff + ((all >> 16) & 1)) >> 16);
  }
  explicit operator float() const {
    const uint32_t all = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &all, sizeof(value));
    return value;
  }
};
