/** Helpers that all backends share. */
@NullMarked
package org.contrastive4j.internal.backend;

import org.jspecify.annotations.NullMarked;
