"""OpenAI's protocol: embeddings, texts that are continued, conversations, responses, and sounds that become texts."""
