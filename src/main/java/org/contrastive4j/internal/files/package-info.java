/** Error texts for file operations. */
@NullMarked
package org.contrastive4j.internal.files;

import org.jspecify.annotations.NullMarked;
