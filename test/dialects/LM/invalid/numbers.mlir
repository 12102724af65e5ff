// RUN: smelt-opt %s --split-input-file --verify-diagnostics

// expected-note@+2 {{add a trailing dot to make the literal a float}}
// expected-error@+1 {{unexpected decimal integer literal for a floating point value}}
train.run {integer = #lm.numbers<1.0, 2>}

// -----

// expected-error@+1 {{expected floating point literal}}
train.run {word = #lm.numbers<1.0, two>}

// -----

// expected-error@+1 {{expected '>' in list of numbers}}
train.run {more = #lm.numbers<1.0 2.0>}
