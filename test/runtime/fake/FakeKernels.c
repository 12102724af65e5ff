// A bigram language model by hand, so that the runtime can be tested without the compiler:
// logits[t] = scale * W[tokens[t]], T = 32 tokens, V = 256, cross-entropy, momentum SGD.
#include <math.h>
#include <stdint.h>

enum { T = 32, V = 256 };

typedef const int32_t *Ints;
typedef float *Floats;

/// Probabilities of one row; returns log(sum(exp)).
static double softmax(const float *row, double scale, double *p) {
  double top = -INFINITY, sum = 0;
  for (int j = 0; j < V; ++j)
    top = fmax(top, scale * row[j]);
  for (int j = 0; j < V; ++j)
    sum += p[j] = exp(scale * row[j] - top);
  for (int j = 0; j < V; ++j)
    p[j] /= sum;
  return top + log(sum);
}

/// buffers: window (i32), table f32 [2]: the window and how often setup has run.
void fake_setup(void *const *b) {
  Floats table = b[1];
  table[0] = (float)((Ints)b[0])[0];
  table[1] += 1;
}

/// buffers: tokens, targets, document_start, W, scale, accumulate, poison, table,
///          gradient of W, gradient of scale, objective, loss_sum
void fake_train(void *const *b) {
  Ints tokens = b[0], targets = b[1];
  Floats w = b[3], gw = b[8], gs = b[9];
  double scale = *(Floats)b[4], keep = *(Floats)b[5], poison = *(Floats)b[6];
  double lossSum = 0, scaleGradient = 0, p[V];
  for (int i = 0; i < V * V; ++i)
    gw[i] = keep != 0 ? gw[i] : 0;
  for (int t = 0; t < T; ++t) {
    if (targets[t] < 0)
      continue;
    const float *row = w + V * tokens[t];
    lossSum += softmax(row, scale, p) - scale * row[targets[t]];
    for (int j = 0; j < V; ++j) {
      double d = (p[j] - (j == targets[t])) / T;
      gw[V * tokens[t] + j] += (float)(scale * d);
      scaleGradient += row[j] * d;
    }
  }
  *gs = (float)((keep != 0 ? *gs : 0) + scaleGradient);
  *(Floats)b[10] = poison != 0 ? NAN : (float)(lossSum / T);
  *(Floats)b[11] = (float)lossSum;
  if (poison != 0)
    gw[0] = NAN;
}

/// buffers: tokens, targets, W, scale, window, objective, loss_sum; a window of 1000 adds 1 nat to every token
void fake_evaluate(void *const *b) {
  Ints tokens = b[0], targets = b[1];
  Floats w = b[2];
  double scale = *(Floats)b[3], lossSum = 0, p[V];
  for (int t = 0; t < T; ++t)
    if (targets[t] >= 0)
      lossSum += softmax(w + V * tokens[t], scale, p) - scale * w[V * tokens[t] + targets[t]] +
                 (*(Ints)b[4] == 1000);
  *(Floats)b[5] = (float)(lossSum / T);
  *(Floats)b[6] = (float)lossSum;
}

/// buffers: W, gradient of W, momentum, scale, gradient of scale, lr, step
void fake_update(void *const *b) {
  Floats w = b[0], g = b[1], m = b[2];
  float lr = *(Floats)b[5], decay = *(Floats)b[6] > 1 ? 0.9f : 0;
  for (int i = 0; i < V * V; ++i) {
    m[i] = decay * m[i] + g[i];
    w[i] -= lr * m[i];
  }
  *(Floats)b[3] -= 0.1f * lr * *(Floats)b[4];
}

/// Nesterov's momentum on the way from the outer copy. buffers: W, outer copy of W, outer momentum
void fake_outer(void *const *b) {
  Floats w = b[0], outer = b[1], m = b[2];
  for (int i = 0; i < V * V; ++i) {
    float g = outer[i] - w[i];
    m[i] = 0.5f * m[i] + g;
    w[i] = outer[i] -= 0.7f * (g + 0.5f * m[i]);
  }
}

/// buffers: tokens, W, scale, logits [T, V]
void fake_generate(void *const *b) {
  Ints tokens = b[0];
  Floats w = b[1], logits = b[3];
  for (int t = 0; t < T; ++t)
    for (int j = 0; j < V; ++j)
      logits[V * t + j] = *(Floats)b[2] * w[V * tokens[t] + j];
}
