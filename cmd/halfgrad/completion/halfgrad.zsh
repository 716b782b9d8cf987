#compdef halfgrad
# zsh completion for halfgrad: source <(halfgrad completion zsh), after compinit
_halfgrad() {
    local word help program=${words[1]/#\~/$HOME}
    local -a found
    while IFS=$'\t' read -r word help; do
        if [[ $word == :file ]]; then
            [[ $PREFIX == --*=* ]] && compset -P '*='
            _files
        else
            found+=("${word//:/\\:}${help:+:$help}")
        fi
    done < <("$program" __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe halfgrad found
}
if [[ $funcstack[1] == _halfgrad ]]; then # loaded from $fpath
    _halfgrad "$@"
else
    compdef _halfgrad halfgrad
fi
