/** Settings of this library that are not arguments of any method. */
@NullMarked
package org.contrastive4j.internal.config;

import org.jspecify.annotations.NullMarked;
