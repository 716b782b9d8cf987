# bash completion for halfgrad: source <(halfgrad completion bash)
_halfgrad() {
    local word help program=${COMP_WORDS[0]/#\~/$HOME}
    COMPREPLY=()
    while IFS=$'\t' read -r word help; do
        if [[ $word == :file ]]; then
            compopt -o default # readline completes names of files
        else
            COMPREPLY+=("$word")
        fi
    done < <("$program" __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _halfgrad halfgrad
