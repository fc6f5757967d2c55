// The compiler's own half precision in the place of CUDA's.
using __half = _Float16;
