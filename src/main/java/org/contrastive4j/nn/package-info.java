/**
 * Encoders on the tape: a vision transformer, a text transformer, and the pair of both. A module owns its parameters;
 * names are paths such as {@code image.block0.attention.qkv.weight}.
 */
@NullMarked
package org.contrastive4j.nn;

import org.jspecify.annotations.NullMarked;
