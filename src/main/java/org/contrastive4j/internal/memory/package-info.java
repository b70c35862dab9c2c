/** Host memory as a pool of off-heap blocks, and the accounting that every memory uses. */
package org.contrastive4j.internal.memory;
