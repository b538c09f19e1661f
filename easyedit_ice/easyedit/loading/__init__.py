"""How EasyEdit's source is loaded: import hook, rewritten expressions, placeholders."""
