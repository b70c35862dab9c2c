/** The safetensors file format, without knowledge of tensors of a backend. Imports nothing of the project. */
@NullMarked
package org.contrastive4j.internal.safetensors;

import org.jspecify.annotations.NullMarked;
