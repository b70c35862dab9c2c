/**
 * The commands: {@code train}, {@code eval}, {@code search}, {@code verify-gradcache}, {@code devices}. The only package that prints. May import everything
 * below it.
 */
package org.contrastive4j.cli;
