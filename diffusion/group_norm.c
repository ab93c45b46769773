// Group norm of channels-last images, then SiLU if asked; forward and backward, float32 or bf16.
//
//     v = x + shift,   x^ = (v - mean) rstd,   z = weight x^ + bias,   y = z sigmoid(z)
//
// x, y: (n, pixels, channels), each float32 or bf16; shift: (n, channels); mean, rstd: (n, groups),
// of a group's channels over all pixels. Arithmetic is float32 throughout. An image is worked on by
// one thread, and images do not meet: results do not depend on the number of threads, nor on which
// images are computed together. Both functions return 0, or 1 if there was no memory.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int64_t n, pixels, channels, groups;
  int32_t x_bf16, y_bf16, silu, threads;
  float eps;
} Shape;

static inline float from_bits(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
static inline uint32_t to_bits(float f) { uint32_t bits; memcpy(&bits, &f, 4); return bits; }

static inline float load(const void *data, int64_t i, int bf16) {
  return bf16 ? from_bits((uint32_t)((const uint16_t *)data)[i] << 16) : ((const float *)data)[i];
}

static inline void store(void *data, int64_t i, int bf16, float value) {
  uint32_t bits = to_bits(value);  // to the nearest, halves to even
  if (bf16) ((uint16_t *)data)[i] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  else ((float *)data)[i] = value;
}

// 1 / (1 + exp(-z)): exp by its Taylor series within half a power of two, to 2e-7.
static inline float sigmoid(float z) {
  float a = z < -87 ? 87 : z > 87 ? -87 : -z;
  float k = rintf(a * 1.44269504f);
  float r = a - k * 0.693359375f + k * 2.12194440e-4f;
  float e = 1 + r * (1 + r * (1.0f / 2 + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r / 720)))));
  return 1 / (1 + e * from_bits((uint32_t)((int32_t)k + 127) << 23));
}

static void spread(const float *of_group, float *of_channel, const Shape *s) {
  int64_t width = s->channels / s->groups;
  for (int64_t c = 0; c < s->channels; c++) of_channel[c] = of_group[c / width];
}

static void mean_by_group(const float *of_channel, float *of_group, const Shape *s) {
  int64_t width = s->channels / s->groups;
  for (int64_t g = 0; g < s->groups; g++) {
    float sum = 0;
    for (int64_t c = g * width; c < (g + 1) * width; c++) sum += of_channel[c];
    of_group[g] = sum / (width * s->pixels);
  }
}

#define EACH_PIXEL(c0) for (int64_t c0 = 0; c0 < s->pixels * s->channels; c0 += s->channels)
#define EACH_CHANNEL _Pragma("omp simd") for (int64_t c = 0; c < s->channels; c++)

static inline __attribute__((always_inline)) void forward_image(
    const Shape *s, int x_bf16, int y_bf16, const void *x, const float *shift,
    const float *weight, const float *bias, void *y, float *mean, float *rstd, float *scratch) {
  int64_t C = s->channels;
  int silu = s->silu;
  float *restrict sum = scratch, *restrict scale = scratch + C, *restrict offset = scratch + 2 * C;
  memset(sum, 0, C * sizeof(float));
  EACH_PIXEL(i) EACH_CHANNEL sum[c] += load(x, i + c, x_bf16);
  EACH_CHANNEL sum[c] += s->pixels * shift[c];
  mean_by_group(sum, mean, s);
  spread(mean, offset, s);
  EACH_CHANNEL offset[c] -= shift[c];
  memset(sum, 0, C * sizeof(float));
  EACH_PIXEL(i) EACH_CHANNEL {
    float d = load(x, i + c, x_bf16) - offset[c];
    sum[c] += d * d;
  }
  mean_by_group(sum, rstd, s);
  for (int64_t g = 0; g < s->groups; g++) rstd[g] = 1 / sqrtf(rstd[g] + s->eps);
  spread(rstd, scale, s);
  EACH_CHANNEL scale[c] *= weight[c];
  EACH_PIXEL(i) EACH_CHANNEL {
    float z = (load(x, i + c, x_bf16) - offset[c]) * scale[c] + bias[c];
    float p = sigmoid(z);
    store(y, i + c, y_bf16, silu ? z * p : z);
  }
}

// dx = rstd (weight dz - mean of weight dz - x^ mean of weight dz x^), means over the group.
static inline __attribute__((always_inline)) void backward_image(
    const Shape *s, int x_bf16, int y_bf16, const void *x, const float *shift,
    const float *weight, const float *bias, const float *mean, const float *rstd, const void *dy,
    void *dx, float *dshift, float *dweight, float *dbias, float *scratch) {
  int64_t C = s->channels;
  int silu = s->silu;
  float *restrict offset = scratch, *restrict scale = scratch + C, *restrict sum = scratch + 2 * C,
        *restrict flat = scratch + 3 * C, *restrict tilt = scratch + 4 * C,
        *restrict dz = scratch + 6 * C, *group = scratch + 5 * C;
  spread(mean, offset, s);
  spread(rstd, scale, s);
  EACH_CHANNEL {
    offset[c] -= shift[c];
    sum[c] = dweight[c] = dbias[c] = 0;
  }
  EACH_PIXEL(i) EACH_CHANNEL {
    float normal = (load(x, i + c, x_bf16) - offset[c]) * scale[c];
    float z = normal * weight[c] + bias[c], d = load(dy, i + c, y_bf16);
    float p = sigmoid(z), slope = p * (1 + z * (1 - p));
    d = silu ? d * slope : d;
    dz[i + c] = d;
    dbias[c] += d;
    dweight[c] += d * normal;
    sum[c] += normal;
  }
  EACH_CHANNEL flat[c] = weight[c] * dbias[c];
  EACH_CHANNEL tilt[c] = weight[c] * dweight[c];
  mean_by_group(flat, group, s);
  spread(group, flat, s);
  mean_by_group(tilt, group, s);
  spread(group, tilt, s);
  EACH_PIXEL(i) EACH_CHANNEL {
    float normal = (load(x, i + c, x_bf16) - offset[c]) * scale[c];
    store(dx, i + c, x_bf16, scale[c] * (weight[c] * dz[i + c] - flat[c] - normal * tilt[c]));
  }
  EACH_CHANNEL dshift[c] =
      scale[c] * (weight[c] * dbias[c] - s->pixels * flat[c] - sum[c] * tilt[c]);
}

// One copy of the loops for each kind of numbers.
#define BY_KIND(call)                   \
  switch (2 * s->x_bf16 + s->y_bf16) {  \
    case 0: call(0, 0); break;          \
    case 1: call(0, 1); break;          \
    case 2: call(1, 0); break;          \
    case 3: call(1, 1); break;          \
  }

static const void *at(const void *data, int64_t i, int bf16) {
  return (const char *)data + i * (bf16 ? 2 : 4);
}

int forward(const Shape *s, const void *x, const float *shift, const float *weight,
            const float *bias, void *y, float *mean, float *rstd) {
  int64_t C = s->channels, size = s->pixels * C;
  int failed = 0;
#pragma omp parallel num_threads(s->threads) reduction(| : failed)
  {
    float *scratch = malloc(4 * C * sizeof(float));
    failed = !scratch;
#pragma omp for schedule(static)
    for (int64_t k = 0; k < s->n; k++) {
      if (failed) continue;
#define FORWARD(xb, yb)                                                                   \
  forward_image(s, xb, yb, at(x, k * size, xb), shift + k * C, weight, bias,              \
                (void *)at(y, k * size, yb), mean + k * s->groups, rstd + k * s->groups, scratch)
      BY_KIND(FORWARD)
    }
    free(scratch);
  }
  return failed;
}

// dweight, dbias: (n, channels), of each image by itself.
int backward(const Shape *s, const void *x, const float *shift, const float *weight,
             const float *bias, const float *mean, const float *rstd, const void *dy, void *dx,
             float *dshift, float *dweight, float *dbias) {
  int64_t C = s->channels, size = s->pixels * C;
  int failed = 0;
#pragma omp parallel num_threads(s->threads) reduction(| : failed)
  {
    float *scratch = malloc((6 * C + size) * sizeof(float));
    failed = !scratch;
#pragma omp for schedule(static)
    for (int64_t k = 0; k < s->n; k++) {
      if (failed) continue;
#define BACKWARD(xb, yb)                                                                  \
  backward_image(s, xb, yb, at(x, k * size, xb), shift + k * C, weight, bias,             \
                 mean + k * s->groups, rstd + k * s->groups, at(dy, k * size, yb),              \
                 (void *)at(dx, k * size, xb), dshift + k * C, dweight + k * C, dbias + k * C,  \
                 scratch)
      BY_KIND(BACKWARD)
    }
    free(scratch);
  }
  return failed;
}
