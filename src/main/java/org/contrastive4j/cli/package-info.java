/**
 * The commands: {@code train}, {@code eval}, {@code search}, {@code verify-gradcache}, {@code devices}, {@code ptx}.
 * The only package that prints. May import everything below it but {@code internal.cuda}, which it reaches through
 * {@code Backend}.
 */
@NullMarked
package org.contrastive4j.cli;

import org.jspecify.annotations.NullMarked;
