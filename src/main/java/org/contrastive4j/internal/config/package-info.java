/** Settings of this library that are not arguments of any method. */
package org.contrastive4j.internal.config;
