/** Mathematical functions and random numbers that several packages use. */
@NullMarked
package org.contrastive4j.internal.numeric;

import org.jspecify.annotations.NullMarked;
