/**
 * Bytes and who owns them: {@link org.contrastive4j.memory.Memory} hands out {@link org.contrastive4j.memory.Storage},
 * counts it, and keeps to a limit. No shapes here. Imports nothing of the project.
 */
@NullMarked
package org.contrastive4j.memory;

import org.jspecify.annotations.NullMarked;
