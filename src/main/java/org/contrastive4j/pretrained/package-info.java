/**
 * Published CLIP and SigLIP checkpoints: opened from a folder in Hugging Face or open_clip layout, run, fine-tuned and
 * written back. {@link org.contrastive4j.pretrained.PretrainedModel} is the entry.
 */
@NullMarked
package org.contrastive4j.pretrained;

import org.jspecify.annotations.NullMarked;
