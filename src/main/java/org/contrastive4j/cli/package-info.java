/**
 * The command line: {@code train}, {@code eval}, {@code search}, {@code verify-gradcache}, {@code devices}, {@code ptx}
 * and others. Only this package writes to standard output. It opens devices through {@code Backend}.
 */
@NullMarked
package org.contrastive4j.cli;

import org.jspecify.annotations.NullMarked;
