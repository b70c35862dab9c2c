/** PTX text to a program: preprocessor, lexer, parser. Knows the grammar, not what an instruction does. */
@NullMarked
package org.contrastive4j.internal.parse;

import org.jspecify.annotations.NullMarked;
