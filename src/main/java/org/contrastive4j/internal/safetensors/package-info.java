/** The safetensors file format, without knowledge of tensors of a backend. Imports nothing of the project. */
package org.contrastive4j.internal.safetensors;
